"""EFFECT (as root): a clean root with rpm, and in it the .rpm packages: built, looked at, installed, updated, erased.

It is a Debian: what they depend on is not there, and nothing boots from them. rpm's own tools look at what rpm does.
"""

from pathlib import Path

from qvd_usbip import VERSION
from tests.lab import bootstrap, packageroot
from tests.lab.errors import LabError
from tests.lab.recipe import Suite

#: What they are built and looked at with, and what their scriptlets call.
TOOLS = tuple("gcc kmod libc6-dev make python3 rpm rpmlint systemd udev util-linux".split())
_OUTSIDE = """
mv "root/build/qvd-usbip" "root/build/qvd-usbip-$3"
chroot root rpm --initdb
chroot --userspec="$2" root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/build LC_ALL=C.UTF-8 sh -c "$4" sh "$3"
cp root/build/rpms/*.rpm root/build/rpms/*.txt .
chroot root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/build LC_ALL=C.UTF-8 sh -c "$5"
"""
_BUILT = """
set -eu
cd /build
tar -czf qvd-usbip-$1.tar.gz qvd-usbip-$1
spec=qvd-usbip-$1/resources/packaging/rpm
rpmbuild -ba --nodeps -D '_topdir /build/top' -D '_sourcedir /build' $spec/qvd-usbip.spec >log 2>&1 ||
  { tail -n 40 log; exit 1; }
mkdir rpms
mv top/RPMS/*/*.rpm top/SRPMS/*.rpm rpms
cd rpms
for package in qvd-usbip-*.rpm; do
  case $package in *.src.rpm) continue ;; esac
  { rpm -qp --info $package; rpm -qp --requires $package; } >${package%.rpm}.txt
  rpm -qp --queryformat '[%{FILEMODES:perms} %{FILEFLAGS:fflags} %{FILENAMES}\\n]' $package >>${package%.rpm}.txt
  rpm -qp --scripts $package >>${package%.rpm}.txt
done
rpmlint --config ../$spec/rpmlint.toml --strict *.rpm
"""
_TRIED = r"""
set -eu
cd /build
list() { find / -xdev \( -path /build -o -path /proc -o -path /dev -o -path /var/lib/rpm \) -prune -o -print | sort; }
# rpm goes on after a scriptlet that failed.
run() { rpm "$@" >said 2>&1 && ! grep -i fail said || { cat said; echo "failed: rpm $*"; exit 1; }; }
need() { "$@" >/dev/null || { echo "not so: $*"; exit 1; }; }
packages=$(ls rpms/*.rpm | grep -v src)
names='qvd-usbip-client qvd-usbip-common qvd-usbip-picker qvd-usbip-server qvd-usbip-vma'
# What systemd, the system's own packages and hicolor-icon-theme have.
mkdir -p /usr/lib/modules-load.d /usr/share/licenses /usr/share/icons/hicolor/scalable/apps
list >before
run --install --nodeps $packages
need rpm --verify --nodeps $names
need getent group qvdusb
need getent group qvduser
need getent passwd qvd-usb-endpoint
need test -d /run/qvd-usbip
need test -u /usr/lib/qvd/bin/qvd-client-slaveclient-usbip-aux
for unit in qvd-usb-recover.service qvd-usb-agent.service qvd-usb-slaveserver.socket \
  qvd-create-device-coldplug.service; do need systemctl is-enabled $unit; done
need test -e /etc/qvd/vma.conf
need rpm --query --whatprovides qvd-client-slaveclient-usbip
need grep -x vhci-hcd /usr/lib/modules-load.d/qvd-usbip.conf
for file in node.conf usbip-policy.conf; do echo '# by hand' >>/etc/qvd/$file; done
systemctl --no-reload disable qvd-usb-agent.service
run --upgrade --force --nodeps $packages
for file in node.conf usbip-policy.conf; do need grep 'by hand' /etc/qvd/$file; done
! systemctl is-enabled qvd-usb-agent.service >/dev/null || { echo 'an update has enabled what was disabled'; exit 1; }
run --erase $names
list >after
# Groups and users stay, as everywhere: something may belong to them.
diff before after | sed -n 's/^> //p' | grep -Ev '^/etc/(\.pwd\.lock|(group|gshadow|passwd|shadow)-?)$' >left || true
printf '/etc/qvd\n/etc/qvd/%s.rpmsave\n/etc/qvd/%s.rpmsave\n' node.conf usbip-policy.conf | diff - left ||
  { echo 'erasing leaves more, or less'; exit 1; }
"""


def unpack(suite: Suite, folder: Path) -> None:
    """Fills `folder` with `rpm.tar`."""
    bootstrap.unpack(suite.name, {"rpm": TOOLS}, folder, [])


def build(folder: Path, archives: Path) -> None:
    """Fills `folder` with the packages, and for each a text of what rpm says of it.

    Raises:
        LabError: they were not built, rpmlint has a word about them, or rpm did not do with them what they are for.
    """
    packageroot.copy_tree(folder / "tree/qvd-usbip")
    if not packageroot.run(folder, archives / "rpm.tar", _OUTSIDE, VERSION, _BUILT, _TRIED):
        raise LabError("no .rpm packages: not built, or rpm or rpmlint has a word about them (see above)")
