"""PURE: defects of kernels that matter here, and whether the running kernel has each: applies, fixed, cannot tell.

A kernel's own number decides only where its maker takes fixes from the stable series and nowhere else: kernel.org and
Debian. Every other distribution carries fixes back under an old number, so there an old number proves nothing.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

Version = tuple[int, ...]


class Verdict(StrEnum):
    """What can be said about one defect and one kernel."""

    APPLIES = "applies"
    FIXED = "fixed"
    CANNOT_TELL = "cannot tell"


class Side(StrEnum):
    """Which end of USB/IP a defect is on."""

    HOST = "host"  # vhci_hcd
    CLIENT = "client"  # usbip-host
    BOTH = "both"


class Maker(StrEnum):
    """Whose kernel it is, as far as it matters for its number."""

    UPSTREAM = "kernel.org"
    DEBIAN = "Debian"
    OTHER = "another distribution"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A kernel: the number of the stable release it was made from, and by whom."""

    version: Version
    maker: Maker


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One defect.

    Args:
        code: a short name, for programs.
        what: what happens, as half a sentence.
        fixed: the first good release of each series; the last of them counts for every later series. Empty: none is.
        since: the first release that has it.
        complete: `fixed` names every series that was mended; else an older number does not tell.
        answer: what this software does about it, or what an administrator can do.
    """

    code: str
    side: Side
    what: str
    fixed: tuple[Version, ...] = ()
    since: Version = (0,)
    complete: bool = True
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A defect with what can be said about it here, and why."""

    defect: Defect
    verdict: Verdict
    why: str


_RELEASE = re.compile(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(.*)", re.ASCII | re.DOTALL)
_DEBIAN = re.compile(r"\bDebian (\d{1,4}\.\d{1,4}(?:\.\d{1,4})?)-\d", re.ASCII)
_UPSTREAM_TAIL = re.compile(r"\+?", re.ASCII)


def kernel_of(release: str, build: str) -> Kernel | None:
    """The kernel from what uname says; None when it names no release.

    Args:
        release: as `uname -r`, "6.12.95+deb13-amd64".
        build: as `uname -v`; Debian writes the version of its package there, since its releases may lack the last part.
    """
    package = _DEBIAN.search(build)
    if package is not None:
        return Kernel(version=_numbers(package[1]), maker=Maker.DEBIAN)
    found = _RELEASE.fullmatch(release)
    if found is None:
        return None
    maker = Maker.UPSTREAM if _UPSTREAM_TAIL.fullmatch(found[4]) else Maker.OTHER
    return Kernel(version=_numbers(".".join(part for part in found.groups()[:3] if part)), maker=maker)


def _numbers(text: str) -> Version:
    parts = [int(part) for part in text.split(".")]
    return tuple(parts + [0] * (3 - len(parts)))


def judge(defect: Defect, kernel: Kernel | None) -> Finding:
    """Whether a kernel has a defect.

    Args:
        defect: one of DEFECTS.
        kernel: None for one whose number cannot be read.
    """
    verdict, why = _verdict(defect, kernel) if kernel else (Verdict.CANNOT_TELL, "the kernel's number cannot be read")
    return Finding(defect=defect, verdict=verdict, why=why)


def _verdict(defect: Defect, kernel: Kernel) -> tuple[Verdict, str]:
    shown = _shown(kernel.version)
    if kernel.version < defect.since:
        return Verdict.FIXED, f"{shown} is older than the defect"
    if not defect.fixed:
        return Verdict.APPLIES, "every kernel has it"
    latest = max(defect.fixed)
    mended = next((first for first in defect.fixed if first[:2] == kernel.version[:2]), None)
    if mended is None and kernel.version >= latest:
        mended = latest
    if mended is not None and kernel.version >= mended:
        return Verdict.FIXED, f"{shown} has the fix of {_shown(mended)}"
    return _below(defect, kernel, mended)


def _below(defect: Defect, kernel: Kernel, mended: Version | None) -> tuple[Verdict, str]:
    """The number is too low: what that proves depends on whose number it is, and on what is known of its series."""
    shown = _shown(kernel.version)
    if kernel.maker is Maker.OTHER:
        return Verdict.CANNOT_TELL, f"{shown} is below the fix, which its distribution may have taken over"
    if mended is not None:
        return Verdict.APPLIES, f"{shown} is older than {_shown(mended)}, which has the fix"
    if defect.complete:
        return Verdict.APPLIES, f"no fixed release is known of the series {_shown(kernel.version[:2])}"
    return Verdict.CANNOT_TELL, f"not every series that has the fix of {_shown(max(defect.fixed))} is known"


def _shown(version: Version) -> str:
    return ".".join(map(str, version))


def findings(side: Side, kernel: Kernel | None) -> tuple[Finding, ...]:
    """Every defect that concerns one end, judged; in the order of the list below."""
    return tuple(judge(defect, kernel) for defect in DEFECTS if defect.side in {side, Side.BOTH})


ISOCHRONOUS = Defect(
    code="isochronous-heap", side=Side.HOST,
    what="a client writes the host's kernel memory through answers to isochronous transfers (CVE-2026-31607)",
    fixed=((6, 6, 136), (6, 12, 83), (6, 18, 24), (6, 19, 14), (7, 0, 1), (7, 1)),
    answer="devices with isochronous endpoints (sound, video) are refused unless vm.lxc.usb.isochronous=allow",
)  # fmt: skip

# Source: kernel logs and CVE records up to autumn 2026.
DEFECTS: tuple[Defect, ...] = (
    ISOCHRONOUS,
    Defect(
        code="stale-device", side=Side.HOST,
        what="vhci_hcd keeps references to devices that are gone (CVE-2024-43883)",
        fixed=((4, 19, 320), (5, 4, 282), (5, 10, 224), (5, 15, 165), (6, 1, 105), (6, 6, 46), (6, 11)),
        answer="update the kernel",
    ),
    Defect(
        code="status-oops", side=Side.HOST,
        what="reading the ports of a controller that did not start crashes the kernel",
        fixed=((7, 1),), complete=False,
        answer="the agent never reads them where no bus belongs to the controller",
    ),
    Defect(
        code="controller-limit", side=Side.HOST,
        what="each controller takes two of 64 bus numbers, so there are 32 at most",
        answer="more tenants than hubs share a hub by ports",
    ),
    Defect(
        code="attach-race", side=Side.HOST,
        what="a port that looks free may be taken between the look and the attach",
        answer="the agent tries the next port",
    ),
    Defect(
        code="detach-while-loading", side=Side.HOST,
        what="a port that is emptied while the module is being loaded crashes the kernel",
        answer="the agent asks nothing of a hub that has no buses yet",
    ),
    Defect(
        code="stock-tools", side=Side.HOST,
        what="`usbip attach` and `usbip port` speak to the first controller only, which on a patched kernel is not all",
        answer="the agent asks the kernel itself and never calls them",
    ),
    Defect(
        code="super-speed-plus", side=Side.HOST,
        what="devices faster than SuperSpeed are refused",
        fixed=((6, 12),),
        answer="the agent attaches them as SuperSpeed",
    ),
    Defect(
        code="port-stuck", side=Side.HOST,
        what="a port stays disabled after a driver resets its device",
        fixed=((5, 15),),
        answer="attach the device again",
    ),
    Defect(
        code="suspend", side=Side.HOST,
        what="a machine that slept with devices attached does not get them back",
        fixed=((6, 18),), complete=False,
        answer="do not let a node sleep, or release its devices first",
    ),
    Defect(
        code="super-speed-lists", side=Side.HOST,
        what="SuperSpeed transfers in several pieces are broken",
        fixed=((5, 4),),
        answer="update the kernel",
    ),
    Defect(
        code="isochronous-broken", side=Side.BOTH,
        what="isochronous transfers fail",
        since=(4, 14, 8), fixed=((5, 1),), complete=False,
        answer="update the kernel",
    ),
    Defect(
        code="receive-overflow", side=Side.BOTH,
        what="the other end writes kernel memory (CVE-2016-3955, CVE-2017-16911 to 16914)",
        fixed=((4, 14, 8),), complete=False,
        answer="update the kernel",
    ),
    Defect(
        code="sleep", side=Side.CLIENT,
        what="nothing protects lent devices when the machine sleeps",
        answer="devices are returned before it sleeps and shared again afterwards",
    ),
    Defect(
        code="export-race", side=Side.CLIENT,
        what="two writers that lend one device at the same time crash the kernel (CVE-2021-29265)",
        fixed=((5, 11, 7),), complete=False,
        answer="the helper locks each device",
    ),
    Defect(
        code="unbind-use-after-free", side=Side.CLIENT,
        what="taking a device from usbip-host and giving it back uses memory that is free",
        fixed=((5, 9),), complete=False,
        answer="update the kernel",
    ),
    Defect(
        code="unlink-race", side=Side.CLIENT,
        what="a transfer that ends just when the other end takes it back is read once more after it was freed",
        answer="very rare (an oops in stub_rx_loop); the device works again when it was plugged out and in",
    ),
    Defect(
        code="below-vhci", side=Side.CLIENT,
        what="lending a device that itself came over USB/IP hangs the machine when it is shut down",
        answer="the helper refuses such a device",
    ),
)  # fmt: skip
