"""With README.md alone, on plain Debian: a stick is shared from the window, is used in the container, and comes back.

`make packages` runs it, beside what the packages themselves are tried with.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.containers import base_config
from tests.lab.demo.desk import ENVIRONMENT, SHARE_LIST_FILE, USER
from tests.lab.product import SLAVE_KEYS
from tests.lab.progress import stage
from tests.lab.scenarios.newcomer import README, Console, Line, blocks
from tests.lab.scenarios.packaged import LIMIT, PLACE, Packaged
from tests.lab.scenarios.window import NOT_SHARED, STICK, Window

pytestmark = [pytest.mark.packages, pytest.mark.picker]

PAGE = blocks(README.read_text(encoding="utf-8"))
HERE, HOST, IMAGE = "The user's computer", "The host of the containers", "The image of the containers"
TOGETHER, ON_THE_HOST, ON_THE_COMPUTER = "The two together", "on the host", "on the user's computer"
PICKER, DIGITS = "qvd-usb-picker", "[0-9]{3} [0-9]{3}"
ATTACHED = "Attached"
FOLDER = f"cd {PLACE}/new; "


class Newcomer:
    """Who follows the page: `desk` at the computer, `user` in the container `one`."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.window = Window(lab)
        self.client, self.server, self.one = lab.client, lab.server, lab.container("one")
        self.machines = Packaged(lab, folder)
        for machine in (self.client, self.server):
            machine.run("echo 'APT::Get::Assume-Yes \"true\";' >/etc/apt/apt.conf.d/99yes")

    def lines(self, title: str) -> Iterator[Line]:
        """The lines of a block, with this lab's names."""
        user = USER if title == HERE else "user"
        for line in PAGE[title]:
            yield line.filled({"NAME": "one", "HOST": self.server.role.address, "USER": user})

    def at_the_computer(self) -> None:
        """The first block, whose last line opens the window."""
        self.client.run(f"useradd -m -s /bin/bash {USER}")
        *before, last = self.lines(HERE)
        root, user = [line for line in before if not line.as_user], [line for line in before if line.as_user]
        for line in root:
            self.client.run(FOLDER + line.text, LIMIT)
        self.window.desk.prepare()
        self.client.run(f"rm {SHARE_LIST_FILE}; rmdir {Path(SHARE_LIST_FILE).parent}")  # what the lab wrote, not they
        for line in user:
            self.window.desk.as_user(f"bash -c {shlex.quote(line.text)}")
        assert last.text == PICKER
        self.window.furnish()
        self.window.desk.start("picker", last.text)

    def at_the_host(self) -> None:
        """The second and third block, and the container's start."""
        self.one.write_config(base_config("one"))
        for line in self.lines(HOST):
            self.server.run(FOLDER + line.text, LIMIT)
        self.machines.in_image("groupdel qvduser")  # of the lab's image
        for line in self.lines(IMAGE):
            self.machines.in_image(FOLDER + line.text)
        self.one.put_file("/etc/qvd/slave.key", f"{SLAVE_KEYS['one']}\n", mode="0600")
        self.one.start()
        self.one.wait()

    def together(self) -> Console:
        """The fourth block; the terminal in which the session runs."""
        consoles = []
        at_host = True
        for number, line in enumerate(self.lines(TOGETHER)):
            at_host = line.remark.startswith(ON_THE_HOST) or (at_host and not line.remark.startswith(ON_THE_COMPUTER))
            as_user = f"runuser -u {USER} -- env {ENVIRONMENT}"
            consoles.append(Console(self.server if at_host else self.client, f"{number}", "" if at_host else as_user))
            consoles[-1].start(line.text)
            if line.text.startswith("qvd-usb pair"):
                self.compare(*consoles[-2:])
            elif "pair" not in line.text and "connect" not in line.text:
                consoles[-1].shows("^left 0$")
        return consoles[-1]

    def compare(self, host: Console, computer: Console) -> None:
        """Two people see the same six digits, and say so."""
        assert host.shows(DIGITS) == computer.shows(DIGITS)
        for console in (host, computer):
            console.answer("y\\n")
        for console in (host, computer):
            console.shows("^left 0$")


def test_with_the_page_alone_a_stick_is_shared_from_the_window_used_in_the_container_and_comes_back(
    bare_lab: Lab, tmp_path: Path
) -> None:
    newcomer = Newcomer(bare_lab, tmp_path)
    window = newcomer.window
    with stage("the blocks of the page"):
        newcomer.at_the_host()
        newcomer.at_the_computer()
    busid = window.plug(STICK)
    window.click("Got it")
    window.row(STICK, NOT_SHARED)
    window.share(STICK)
    window.is_ticked(STICK)
    session = newcomer.together()
    window.row(STICK, ATTACHED)  # nobody on the host sees into a privileged container, whose image made the node
    window.in_container("/dev/sda")
    session.answer("\\003")  # Ctrl-C
    session.shows("^left")
    window.at_home(STICK, busid)
    window.nothing_is_left()
