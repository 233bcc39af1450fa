#!/bin/bash
# composite.sh NAME VID PID SERIAL   plugs one device that is serial adapter, disk and keyboard into this guest's dummy_hcd
# Prints the controller it is plugged into. The disk is /var/lib/lab/NAME.img; `gadget.sh remove NAME` takes it away.
set -euo pipefail
name=$1 media=/var/lib/lab/$1.img
modprobe -a libcomposite dummy_hcd
for controller in /sys/class/udc/*; do
    controller=${controller##*/}
    grep -qx "$controller" /sys/kernel/config/usb_gadget/*/UDC 2>/dev/null || break
done
mkdir -p /var/lib/lab
printf 'disk of %s' "$name" >"$media"
truncate -s 8M "$media"
mkdir "/sys/kernel/config/usb_gadget/$name"
cd "/sys/kernel/config/usb_gadget/$name"
echo "0x$2" >idVendor
echo "0x$3" >idProduct
mkdir strings/0x409 configs/c.1
mkdir configs/c.1/strings/0x409
printf '%s' "$4" >strings/0x409/serialnumber
printf 'QVD Lab' >strings/0x409/manufacturer
printf 'Three in one' >strings/0x409/product
mkdir functions/acm.0 functions/mass_storage.0 functions/hid.0
echo "$media" >functions/mass_storage.0/lun.0/file
cd functions/hid.0
echo 1 >protocol
echo 1 >subclass
echo 8 >report_length
printf '%b' '\x05\x01\x09\x06\xa1\x01\x05\x07\x19\xe0\x29\xe7\x15\x00\x25\x01\x75\x01\x95\x08\x81\x02' \
    '\x95\x01\x75\x08\x81\x03\x95\x05\x75\x01\x05\x08\x19\x01\x29\x05\x91\x02\x95\x01\x75\x03\x91\x03' \
    '\x95\x06\x75\x08\x15\x00\x25\x65\x05\x07\x19\x00\x29\x65\x81\x00\xc0' >report_desc
cd ../..
ln -s functions/acm.0 functions/mass_storage.0 functions/hid.0 configs/c.1/
echo "$controller" >UDC
echo "$controller"
