#!/bin/bash
# gadget.sh add NAME acm|mass|hid VID PID SERIAL PRODUCT [UDC]   plugs a USB device into this guest's dummy_hcd, and
#                                                               prints its busid once the kernel has it
# gadget.sh remove NAME                                          unplugs and forgets it
# The media of `mass` is /var/lib/lab/NAME.img, made on first use.
# Under emulation each program that is started counts: what the shell can do itself it does.
set -euo pipefail
gadgets=/sys/kernel/config/usb_gadget

taken() {
    local file name
    for file in "$gadgets"/*/UDC; do
        if [ -e "$file" ] && read -r name <"$file" && [ "$name" = "$1" ]; then return 0; fi
    done
    return 1
}

free_controller() {
    local each
    for each in /sys/class/udc/*; do
        controller=${each##*/}
        taken "$controller" || return 0
    done
    echo "every dummy controller is taken" >&2
    return 1
}

wait_for() {  # CONTROLLER VID PID
    local device vid pid end=$((SECONDS + 30))
    while [ $SECONDS -lt $end ]; do
        for device in /sys/devices/platform/dummy_hcd."${1##*.}"/usb*/[0-9]*-[0-9]*; do
            if [ -e "$device/busnum" ] && read -r vid <"$device/idVendor" && read -r pid <"$device/idProduct" &&
                [ "$vid:$pid" = "${2,,}:${3,,}" ]; then
                echo "${device##*/}"
                return
            fi
        done
        sleep 0.1
    done
    echo "the kernel does not know $2:$3 at $1" >&2
    return 1
}

acm() { mkdir functions/acm.0; ln -s functions/acm.0 configs/c.1/; }

mass() {
    local media=/var/lib/lab/$1.img
    if [ ! -e "$media" ]; then
        mkdir -p /var/lib/lab
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
    if [ ! -d "$gadgets" ] || [ ! -d /sys/module/dummy_hcd ]; then modprobe -a libcomposite dummy_hcd; fi
    [ -n "$controller" ] || free_controller
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
    wait_for "$controller" "$3" "$4"
}

[ -d "$gadgets" ] || mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
"$@"
