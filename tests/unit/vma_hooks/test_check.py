"""`qvd-usb-image check`: what an image lacks is named with its remedy, and the first lack is the exit status."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qvd_usbip.errors import PROBLEMS
from tests.unit.vma_hooks.fake_broker import FakeBroker
from vma_hooks import check, check_installed, check_running, image
from vma_hooks.accounts import Accounts, Group, at_rest
from vma_hooks.check import Image
from vma_hooks.check_installed import CALL, HOOK, PROGRAMS, QVD_BIN, RULE

OWN_GROUP = os.getgid()  # the socket's, as a test cannot give it another
RULES = f"usr/lib/udev/rules.d/{RULE}"
CONF = "etc/qvd/vma.conf"
WANTS = "etc/systemd/system"
LINKS = {
    "coldplug": f"{WANTS}/multi-user.target.wants/qvd-create-device-coldplug.service",
    "socket": f"{WANTS}/sockets.target.wants/qvd-usb-slaveserver.socket",
}

Change = Callable[[Path], None]


class Looked:
    """An image that has everything, and the command run on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.accounts = Accounts(
            groups={"qvduser": Group(gid=OWN_GROUP, members=frozenset({"alice"}))}, users={"alice": 1000}
        )
        self.runs = True

    @property
    def image(self) -> Image:
        return Image(root=self.root, runs=self.runs, accounts=self.accounts, owner=os.getuid())


def refusing(number: int) -> Callable[..., bytes]:
    """A system call that the kernel answers with this error."""

    def refuse(*_: object) -> bytes:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path) -> Iterator[Looked]:
    for place, text in (
        ("etc/qvd/slave.key", "a key\n"),
        ("usr/bin/python-of-the-image", ""),
        ("usr/lib/systemd/systemd-udevd", ""),
        (RULES, (repository / "resources/udev" / RULE).read_text()),
        (CONF, (repository / "resources/conf/vma.conf").read_text()),
        ("run/udev/control", ""),
        *((f"{QVD_BIN}/{name}", "#!/usr/bin/python3 -IS\n") for name in PROGRAMS),
        *((link, "") for link in LINKS.values()),
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    (tmp_path / "etc/qvd/slave.key").chmod(0o600)
    (tmp_path / "usr/bin/python3").symlink_to(
        "/usr/bin/python-of-the-image"
    )  # of the image, not of the machine that looks
    for name in PROGRAMS:
        (tmp_path / QVD_BIN / name).chmod(0o755)
    for folder in ("dev", "sys/devices/platform/vhci_hcd.3", "run/qvd-usbip"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr("vma_hooks.check_running.os.getxattr", refusing(errno.ENODATA))
    monkeypatch.setattr("vma_hooks.check_running.os.geteuid", lambda: 0)
    looked = Looked(tmp_path)
    monkeypatch.setattr(image, "image_at", lambda _folder: looked.image)
    agent = FakeBroker(tmp_path / "run/qvd-usbip/broker.sock")
    yield looked
    agent.close()


def lacks(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, str]]:
    status = image.main(["check", "--json", *arguments])
    rows = json.loads(capsys.readouterr().out)["checks"]
    return status, {row["name"]: row["remedy"] for row in rows if not row["ok"]}


def warnings(capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert image.main(["check"]) == 0
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("warn")]


def test_an_image_that_has_everything(there: Looked, capsys: pytest.CaptureFixture[str]) -> None:
    assert lacks(capsys) == (0, {})
    assert lacks(capsys, "alice") == (0, {})
    assert image.main(["check"]) == 0
    out = capsys.readouterr().out
    assert "devices are opened to the group qvduser (rw-)" in out
    assert "ok    broker: the agent on the host answers" in out
    assert "FAIL" not in out
    assert "warn" not in out


def without(place: str) -> Change:
    return lambda root: (root / place).unlink()


def with_text(place: str, text: str) -> Change:
    def change(root: Path) -> None:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)

    return change


def with_mode(place: str, mode: int) -> Change:
    return lambda root: (root / place).chmod(mode)


def masked(root: Path) -> None:
    (root / "etc/udev/rules.d").mkdir(parents=True)
    (root / "etc/udev/rules.d" / RULE).symlink_to("/dev/null")


@pytest.mark.parametrize(
    ("change", "name", "code", "remedy"),
    [
        (with_text(CONF, "createdevice.acl.permissions=rwz\n"), "settings", "settings-malformed", "configuration file"),
        (with_text(CONF, "createdevice.acl.group=usb\n"), "group", "group-unknown", "groups=qvduser,usb"),
        (with_text(CONF, "vma.user.default.groups=qvduser, disk\n"), "group", "group-unknown", "--system disk"),
        (with_text(CONF, "vma.user.default.groups=\n"), "group", "node-unusable", "vma.user.default.groups=qvduser"),
        (without(f"{QVD_BIN}/{HOOK}"), "program", "node-refused", "make install ROLE=vma"),
        (with_mode(f"{QVD_BIN}/{HOOK}", 0o644), "program", "node-refused", "make install ROLE=vma"),
        (with_mode(f"{QVD_BIN}/{HOOK}", 0o777), "program", "node-refused", "make install ROLE=vma"),
        (without("usr/bin/python-of-the-image"), "program", "node-refused", "make install ROLE=vma"),
        (without(f"{QVD_BIN}/qvd-usb-slaveserver"), "program", "slave-unreachable", "make install ROLE=vma"),
        (without("usr/lib/systemd/systemd-udevd"), "rule", "node-refused", "apt install udev"),
        (without(RULES), "rule", "node-refused", "make install ROLE=vma"),
        (with_text(RULES, f"# RUN+={CALL}\n"), "rule", "node-refused", "make install ROLE=vma"),
        (masked, "rule", "node-refused", f"Remove /etc/udev/rules.d/{RULE}"),
        (without(LINKS["coldplug"]), "boot", "node-refused", "systemctl enable qvd-create-device-coldplug.service"),
        (without("etc/qvd/slave.key"), "key", "slave-key-missing", "first line of /etc/qvd/slave.key"),
        (with_text("etc/qvd/slave.key", "\n"), "key", "slave-key-missing", "first line of /etc/qvd/slave.key"),
        (with_mode("etc/qvd/slave.key", 0o640), "key", "slave-key-unsafe", "chmod 600 /etc/qvd/slave.key"),
        (without("run/udev/control"), "udevd", "node-refused", "systemctl start systemd-udevd"),
        (lambda root: (root / "sys/devices/platform/vhci_hcd.3").rmdir(), "hub", "no-free-hub", "lxc-config NAME"),
        (lambda root: shutil.rmtree(root / "run/qvd-usbip"), "broker", "broker-missing", "lxc-config NAME"),
        (without("run/qvd-usbip/broker.sock"), "broker", "agent-unreachable", "systemctl start qvd-usb-agent"),
    ],
)  # fmt: skip
def test_each_lack_has_its_remedy(
    there: Looked, capsys: pytest.CaptureFixture[str], change: Change, name: str, code: str, remedy: str
) -> None:
    change(there.root)
    status, found = lacks(capsys)
    assert list(found) == [name]
    assert remedy in found[name]
    assert status == PROBLEMS[code].exit_status


@pytest.mark.parametrize(("number", "code"), [(errno.EOPNOTSUPP, "acl-unsupported"), (errno.EACCES, "node-refused")])
def test_dev_has_to_keep_access_lists(
    there: Looked, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    monkeypatch.setattr("vma_hooks.check_running.os.getxattr", refusing(number))
    status, found = lacks(capsys)
    assert list(found) == ["dev"]
    assert status == PROBLEMS[code].exit_status
    with_text(CONF, "createdevice.acl.enable=0\n")(there.root)
    assert lacks(capsys) == (0, {}), "nobody asks for one"


def test_a_read_only_dev(
    there: Looked, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr("vma_hooks.check_running.os.statvfs", lambda _: type("Found", (), {"f_flag": os.ST_RDONLY})())
    status, found = lacks(capsys)
    assert "lxc.autodev" in found["dev"]
    assert status == PROBLEMS["node-refused"].exit_status


def test_the_receiver_is_one_of_those_who_may_ask_the_agent(there: Looked, capsys: pytest.CaptureFixture[str]) -> None:
    there.accounts.groups["qvduser"] = Group(gid=OWN_GROUP + 1, members=frozenset({"alice"}))
    status, found = lacks(capsys)
    assert f"--broker-gid {OWN_GROUP + 1} NAME" in found["broker"]
    assert status == PROBLEMS["broker-missing"].exit_status


def test_whoever_may_not_ask_the_agent_is_told_to_be_root(
    there: Looked, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vma_hooks.check_running.os.geteuid", lambda: 1000)
    without("run/qvd-usbip/broker.sock")(there.root)
    assert [line.split(":")[0] for line in warnings(capsys)] == ["warn  broker"]


def test_without_its_library_the_receiver_cannot_start(
    there: Looked, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_running, "find_spec", lambda _: None)
    assert lacks(capsys) == (PROBLEMS["slave-unreachable"].exit_status, {"modules": "apt install python3-h11"})


def test_where_the_host_makes_the_nodes_the_image_need_not(
    there: Looked, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    (there.root / "dev/qvd").mkdir()
    for place in (RULES, LINKS["coldplug"], "run/udev/control"):
        without(place)(there.root)
    assert [line.split(":")[0] for line in warnings(capsys)] == ["warn  udevd"]


@pytest.mark.parametrize(
    ("users", "members", "user", "lack"),
    [
        ({}, set(), "", ""),
        ({"alice": 1000, "bob": 1001}, {"alice"}, "", ""),
        ({"bob": OWN_GROUP}, set(), "", ""),  # it is his own group
        ({"alice": 1000, "bob": 1001}, set(), "", "usermod -aG qvduser bob"),
        ({"alice": 1000, "bob": 1001}, {"alice"}, "bob", "usermod -aG qvduser bob"),
        ({"alice": 1000}, {"alice"}, "carol", "useradd -mG qvduser carol"),
    ],
)
def test_users_have_to_be_in_the_group(
    there: Looked, capsys: pytest.CaptureFixture[str], users: dict[str, int], members: set[str], user: str, lack: str
) -> None:
    group = Group(gid=OWN_GROUP, members=frozenset(members))
    there.accounts = Accounts(groups={"qvduser": group}, users=users)
    status, found = lacks(capsys, *filter(None, [user]))
    assert lack in found.get("member", "")
    assert bool(lack) == bool(found)
    assert status == (PROBLEMS["node-unusable"].exit_status if lack else 0)


def test_a_user_outside_is_a_warning_as_it_may_be_meant(there: Looked, capsys: pytest.CaptureFixture[str]) -> None:
    there.accounts.users.update({f"user{number}": 2000 for number in range(7)})
    (line,) = warnings(capsys)
    assert line.endswith("not in the group qvduser: user0, user1, user2, user3, user4 and 2 more")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("createdevice.acl.enable=0\n", "only root may open devices"),
        ("createdevice.acl.permissions=r\n", "createdevice.acl.permissions gives r--"),
        ("createdevice.acl.premissions=rw\n", "createdevice.acl.premissions in "),
    ],
)
def test_settings_that_do_less_than_most_want_are_a_warning(
    there: Looked, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    with_text(CONF, text)(there.root)
    (line,) = warnings(capsys)
    assert words in line


def test_where_nxagent_starts_the_receiver_no_unit_and_no_key_is_needed(
    there: Looked, capsys: pytest.CaptureFixture[str]
) -> None:
    without(LINKS["socket"])(there.root)
    without("etc/qvd/slave.key")(there.root)
    (line,) = warnings(capsys)
    assert line.startswith("warn  receiver: ")


def test_a_slave_key_of_another_user_than_root_is_only_right_where_that_user_starts_the_receiver(there: Looked) -> None:
    found = check_installed.key(there.root, "/etc/qvd/slave.key", os.getuid() + 1)
    assert found.exit_status == PROBLEMS["slave-key-unsafe"].exit_status
    assert f"belongs to user {os.getuid()}" in found.text
    without(LINKS["socket"])(there.root)
    assert check_installed.key(there.root, "/etc/qvd/slave.key", os.getuid() + 1).exit_status == 0


def test_an_image_that_does_not_run_is_judged_by_its_files(there: Looked, capsys: pytest.CaptureFixture[str]) -> None:
    there.runs = False
    for folder in ("run", "sys", "dev"):
        shutil.rmtree(there.root / folder)
    assert lacks(capsys) == (0, {})
    without(RULES)(there.root)
    assert lacks(capsys)[0] == PROBLEMS["node-refused"].exit_status


LONG = "9" * 5000  # Python makes no number of so many digits


def test_accounts_of_an_image_are_in_its_files(tmp_path: Path) -> None:
    with_text("etc/group", "root:x:0:\nqvduser:x:987:alice,bob\nodd line\nbad:x:many:\n" + f"long:x:{LONG}:\n")(
        tmp_path
    )
    with_text(
        "etc/passwd",
        "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\nnobody:x:65534:65534::/:\nx:y\n"
        f"long:x:{LONG}:1::/:\nlonger:x:1001:{LONG}::/:\n",
    )(tmp_path)
    found = check.image_at(str(tmp_path)).accounts
    assert found == at_rest(tmp_path)
    assert found.groups.keys() == {"root", "qvduser"}
    assert found.users == {"alice": 1000}
    assert found.is_member("alice", "qvduser")
    assert not found.is_member("alice", "root")


def test_the_system_itself_is_looked_at_where_no_folder_is_named() -> None:
    found = check.image_at("")
    assert found.runs
    assert found.accounts.groups["root"].gid == 0


@pytest.mark.parametrize("arguments", [["check", "--root", "/nowhere"], ["look"], []])
def test_a_wrong_call_is_a_usage_problem(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert image.main(arguments) == PROBLEMS["usage"].exit_status
    assert "error: " in capsys.readouterr().err


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        image.main(["check", "--help"])
    assert ended.value.code == 0
    assert "qvd-usb-image check --root /srv/image" in capsys.readouterr().out


def test_on_a_host_without_the_agent_the_mounted_hub_will_do(there: Looked, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(there.root / "run/qvd-usbip")
    (there.root / "sys/devices/platform/vhci_hcd.3/attach").touch()
    assert lacks(capsys) == (0, {})
    assert image.main(["check"]) == 0
    assert "the hub that is mounted here takes devices" in capsys.readouterr().out
