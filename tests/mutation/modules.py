"""PURE: which modules are broken, and the tests that have to notice: those that are about the module, and no others."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """What is mutated together.

    Args:
        files: the code, from the repository's root.
        tests: the files of tests that are about it.
    """

    files: tuple[str, ...]
    tests: tuple[str, ...]


_AGENT = "tests/unit/server_agent"
MODULES = {
    "vhci": Module(files=("qvd_usbip/vhci.py",), tests=("tests/unit/qvd_usbip/test_vhci.py",)),
    "share_list": Module(files=("qvd_usbip/share_list.py",), tests=("tests/unit/qvd_usbip/test_share_list.py",)),
    "reconcile": Module(
        files=("server_agent/reconcile.py",),
        tests=(f"{_AGENT}/test_reconcile.py", f"{_AGENT}/test_reconcile_devices.py"),
    ),
    "decide": Module(
        files=("server_agent/decide.py",),
        tests=tuple(f"{_AGENT}/test_{name}.py" for name in ("decide", "decide_sharing", "host_nodes")),
    ),
    "leases": Module(files=("server_agent/leases.py",), tests=(f"{_AGENT}/test_leases.py",)),
}
