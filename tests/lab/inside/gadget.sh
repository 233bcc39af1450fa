#!/bin/bash
# gadget.sh add NAME acm|mass|hid VID PID SERIAL PRODUCT [UDC]   plugs a USB device into this guest's dummy_hcd
# gadget.sh remove NAME                                          unplugs and forgets it
# Prints the controller it is plugged into. The media of `mass` is /var/lib/lab/NAME.img, made on first use.
set -euo pipefail
gadgets=/sys/kernel/config/usb_gadget

free_controller() {
    local each
    for each in /sys/class/udc/*; do
        each=${each##*/}
        grep -qx "$each" $gadgets/*/UDC 2>/dev/null || { echo "$each"; return; }
    done
    echo "every dummy controller is taken" >&2
    return 1
}

acm() { mkdir functions/acm.0; ln -s functions/acm.0 configs/c.1/; }

mass() {
    local media=/var/lib/lab/$1.img
    if [ ! -e "$media" ]; then
        truncate -s 32M "$media"
        mkfs.vfat -n LAB "$media" >/dev/null
    fi
    mkdir functions/mass_storage.0
    echo 1 >functions/mass_storage.0/lun.0/removable
    echo "$media" >functions/mass_storage.0/lun.0/file
    ln -s functions/mass_storage.0 configs/c.1/
}

hid() {  # a boot keyboard, as in HID 1.11 appendix B.1
    mkdir functions/hid.0
    echo 1 >functions/hid.0/protocol
    echo 1 >functions/hid.0/subclass
    echo 8 >functions/hid.0/report_length
    printf '%b' '\x05\x01\x09\x06\xa1\x01\x05\x07\x19\xe0\x29\xe7\x15\x00\x25\x01\x75\x01\x95\x08\x81\x02' \
        '\x95\x01\x75\x08\x81\x03\x95\x05\x75\x01\x05\x08\x19\x01\x29\x05\x91\x02\x95\x01\x75\x03\x91\x03' \
        '\x95\x06\x75\x08\x15\x00\x25\x65\x05\x07\x19\x00\x29\x65\x81\x00\xc0' >functions/hid.0/report_desc
    ln -s functions/hid.0 configs/c.1/
}

remove() {
    cd "$gadgets/$1"
    echo >UDC 2>/dev/null || true  # it may be unplugged already
    find configs/c.1 -maxdepth 1 -type l -delete
    rmdir configs/c.1/strings/0x409 configs/c.1 functions/* strings/0x409
    cd / && rmdir "$gadgets/$1"
}

add() {
    local name=$1 kind=$2 controller=${7:-}
    modprobe -a libcomposite dummy_hcd
    [ -n "$controller" ] || controller=$(free_controller)
    mkdir "$gadgets/$name"
    cd "$gadgets/$name"
    echo "0x$3" >idVendor
    echo "0x$4" >idProduct
    mkdir -p strings/0x409 configs/c.1/strings/0x409
    [ -z "$5" ] || printf '%s' "$5" >strings/0x409/serialnumber
    printf 'QVD Lab' >strings/0x409/manufacturer
    printf '%s' "$6" >strings/0x409/product
    "$kind" "$name"
    echo "$controller" >UDC
    echo "$controller"
}

mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
mkdir -p /var/lib/lab
"$@"
