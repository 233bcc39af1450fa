#!/bin/sh
# Makes media in the folder $1: `parts` has a partition table, in it an ext4 with the label GUARDED and a volume of LVM;
# `whole` is such an ext4 as a whole; `blank` is empty. udevd does not look at what is made.
set -eu
cd "$1"
udevadm control --stop-exec-queue
truncate -s 24M parts
# The table: partitions of 8 MiB at 1 MiB (Linux) and at 9 MiB (LVM), then the signature.
printf '\000\000\000\000\203\000\000\000\000\010\000\000\000\100\000\000' | dd of=parts bs=1 seek=446 conv=notrunc status=none
printf '\000\000\000\000\216\000\000\000\000\110\000\000\000\100\000\000' | dd of=parts bs=1 seek=462 conv=notrunc status=none
printf '\125\252' | dd of=parts bs=1 seek=510 conv=notrunc status=none
mke2fs -q -F -t ext4 -L GUARDED -E offset=1048576 parts 8M
loop=$(losetup -f --show -o 9437184 --sizelimit 8388608 parts)
pvcreate -qq "$loop"
vgcreate -qq -s 128k guarded "$loop"
lvcreate -qq -y -an -Zn -n volume -l 100%FREE guarded
losetup -d "$loop"
rm -rf /etc/lvm/devices # a list of known devices would keep LVM from others
truncate -s 16M whole blank
mke2fs -q -F -t ext4 -L GUARDED whole
udevadm control --start-exec-queue
udevadm settle
