"""EFFECT: what a container's own configuration lacks, read from its file and everything that the file includes."""

from qvd_usbip.errors import CONTAINER_UNKNOWN, LXC_CONFIG_MISSING, QvdUsbError
from qvd_usbip.finding import Finding
from qvd_usbip.ids import VmId
from server_agent import container_config, lacks, lxc, settings
from server_agent.backend import Backend
from server_agent.kernel.rights import default_backend


def check_container(name: VmId) -> list[Finding]:
    """Compare a container's configuration with the lines it needs, on the terms that its own hook line names.

    Args:
        name: the container.

    Raises:
        QvdUsbError: container-unknown.
    """
    config = container_config.CONTAINERS / str(name) / "config"
    if not config.is_file():
        raise QvdUsbError(CONTAINER_UNKNOWN, container=name)
    effective = [lacks.setting(key, value) for key, value in container_config.entries(config)]
    terms = terms_of(name, effective)
    found = lacks.lacks(lacks.parse("\n".join(lxc.config_lines(terms))), effective)
    status = LXC_CONFIG_MISSING.exit_status
    lines = [
        Finding(name=str(name), text=each.text, remedy=f"{each.remedy} (in {config})", exit_status=status)
        for each in found
    ]
    if terms.own_attach:
        lines.append(Finding(name=str(name), text=f"{lxc.OWN_ATTACH_PROFILE}: {' '.join(lxc.OWN_ATTACH_COSTS)}"))
    return lines if found else [Finding(name=str(name), text=f"every line it needs is in force in {config}"), *lines]


def terms_of(name: VmId, effective: list[lacks.Setting]) -> lxc.ContainerTerms:
    """What the container's own configuration says of it."""
    words = lacks.hook_words(effective)
    backend = lacks.value_of("--backend", words)
    return lxc.ContainerTerms(
        name=name,
        devicefs=settings.load().devicefs,
        broker_gid=_number(lacks.value_of("--broker-gid", words)),
        backend=Backend(backend) if backend in set(Backend) else default_backend(),
        root_uid=_number(lacks.value_of("--root-uid", words)),
        own_attach=lacks.in_force(effective).get("lxc.apparmor.profile") == [lxc.OWN_ATTACH_PROFILE],
    )


def _number(text: str) -> int:
    """0 for what is no number."""
    return int(text) if text.isascii() and text.isdecimal() else 0
