"""EFFECT: the measurements that need the lab: a real device, a real container, both ends of the way."""

import json
import shlex
import statistics
from collections.abc import Sequence
from pathlib import Path

from client_gui.state import STEP_NAMES
from tests.bench import full_desk
from tests.bench.goals import Finding, Goal, in_milliseconds
from tests.bench.machine import guests
from tests.bench.promises import HOOK, LIST, LIST_HUNDRED, READY, RIGHT, RIGHT_LXC, RIGHT_V1
from tests.bench.report import Measured, together
from tests.lab import Lab, LabError
from tests.lab.containers import base_config
from tests.lab.errors import TimedOut
from tests.lab.guest import Guest
from tests.lab.lab import CGROUP_V1
from tests.lab.product import SLAVE_KEYS
from tests.lab.progress import say, stage

_INSIDE = Path(__file__).parent / "inside"
_TOOLS = "/usr/local/lib/bench"
_RUN = "/run/bench"
_KEY = "0bda:58c2@1234"
_BARE = ["python3", "-I", "-S", "-c", "pass"]
STARTS = ("the helper", "qvd-create-device")  # what is started for a device; each node's own runs beside the others
PATIENCE = 260  # seconds for a tick: the engine's own, and some
_COUNT = "import json, sys; print(len(json.load(sys.stdin)['devices']))"
_LISTED = f'runuser -u user -- env HOME=/home/user qvd-usb list --json | python3 -c "{_COUNT}"'
HOOK_PATH = "/usr/lib/qvd/bin/qvd-create-device"


class Bench:
    """A serial adapter at the client, and the container `one` it can be shared with."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.one = lab.container("one")
        for guest in lab.guests:
            guest.push(_INSIDE, _TOOLS)
        self.one.run(f"mkdir -p {_TOOLS} && cat >{_TOOLS}/turns.py", stdin=(_INSIDE / "turns.py").read_bytes())
        self.busid = lab.client.gadget("serial", "acm", "0bda", "58c2", "1234")
        self._ticks = 0

    def start_engine(self) -> None:
        """Starts the engine that the picker has, as the user."""
        session = {"v": 1, "name": "bench", "address": f"{self.one.address}:11100", "key": SLAVE_KEYS["one"],
                   "encryption": "none"}  # fmt: skip
        client = self.lab.client
        client.run(
            f"mkdir -p {_RUN} ~user/.qvd && mkfifo {_RUN}/orders && touch {_RUN}/times"
            " && printf 'client.usb.enable=1\\nclient.usb.allow_plaintext=1\\n' >~user/.qvd/client.conf"
            f" && chown -R user: {_RUN} ~user/.qvd && install -d -o user -m 0700 /run/user/1000"
        )
        client.run(f"cat >{_RUN}/session", stdin=json.dumps(session))
        command = f"cd; exec python3 {_TOOLS}/tick.py {_KEY} {_RUN}/times <{_RUN}/session"
        as_user = "exec runuser -u user -- env XDG_RUNTIME_DIR=/run/user/1000 bash -c"
        client.spawn(f"{as_user} {shlex.quote(command)}", "bench")

    def tick(self, *, on: bool) -> tuple[float, dict[str, int]]:
        """Ticks or unticks through the engine; the seconds that took, and when each step was reached."""
        self._ticks += 1
        self.lab.client.run(f"echo {'tick' if on else 'untick'} >{_RUN}/orders")
        try:
            line = self.lab.client.until(f"sed -n '{self._ticks}{{p;q}}' {_RUN}/times | grep .", timeout=PATIENCE).out
        except TimedOut as error:
            said = self.lab.client.run("journalctl -u bench -o cat -n 8").out.replace("\n", " | ")
            raise LabError(
                f"tick {self._ticks} was not answered in {PATIENCE} s: {said or 'the engine said nothing'}"
            ) from error
        result = json.loads(line)
        return result["seconds"], result["steps"]

    def by_hand(self) -> float:
        """Does the whole job with usbip, bpftool, mknod and setfacl; the seconds that took."""
        out = self.lab.server.run(f"{_TOOLS}/by_hand.sh {self.busid}", timeout=180).out
        return float(out.splitlines()[-1])


def _turns(run: str, rounds: int, **commands: list[str]) -> str:
    request = json.dumps({"rounds": rounds, "commands": commands})
    return f"{run} python3 {_TOOLS}/turns.py <<'END'\n{request}\nEND"


def time_to_ready(bench: Bench, rounds: int) -> Measured:
    """Ticks and does it by hand in turn; leaves the device shared. When each step was reached is kept too."""
    bench.lab.client.run("usbipd -D")
    bench.lab.client.spawn(f"exec python3 {_TOOLS}/binder.py", "binder")
    bench.start_engine()
    taken, reached = [], []
    for number in range(rounds + 1):  # the first is not counted
        ours, steps = bench.tick(on=True)
        bench.tick(on=False)
        taken.append((ours, bench.by_hand()))
        reached.append(steps)
        words = ", ".join(f"{name} {milliseconds / 1e3:.2f}" for name, milliseconds in steps.items())
        say(f"round {number}: {ours:.2f} s ({words}), by hand {taken[-1][1]:.2f} s")
    bench.tick(on=True)
    finding = Finding(
        goal=READY,
        ours=in_milliseconds([one for one, _ in taken[1:]]),
        reference=in_milliseconds([hand for _, hand in taken[1:]]),
    )
    by_step = {name: tuple(float(steps[name]) for steps in reached[1:]) for name in STEP_NAMES}
    return Measured(findings=(finding,), steps=by_step)


def time_of_hook(bench: Bench, rounds: int) -> Finding:
    """Repeats the add event of the shared device in the container; each makes a new node and puts it in place."""
    event = bench.one.run(
        "r=$(cd /run/qvd-create-device && ls -d c189:*); n=/dev/$(readlink /run/qvd-create-device/$r);"
        " p=$(readlink -f /sys/dev/char/${r#c}); echo ACTION=add DEVPATH=${p#/sys} DEVNAME=$n SUBSYSTEM=usb MAJOR=189"
        " MINOR=${r#*:}"
    ).out
    out = bench.one.run(
        _turns(f"env {event}", rounds, ours=[HOOK_PATH, "--from-env"], reference=_BARE), timeout=300
    ).out
    taken = json.loads(out)
    return Finding(goal=HOOK, ours=in_milliseconds(taken["ours"]), reference=in_milliseconds(taken["reference"]))


def less_starts(ready: Finding, bare: Sequence[float]) -> str:
    """PURE: the same without the starts of Python that stand one after the other on the way, in words.

    Args:
        ready: from tick to ready.
        bare: what a bare start takes, each in milliseconds.
    """
    ours = statistics.median(ready.ours) - len(STARTS) * statistics.median(bare)
    share = ours / statistics.median(ready.reference)
    return f"{ready.goal.name}, less the start of {' and '.join(STARTS)}: {ours:.0f} ms, {share:.2f} of by hand"


def time_of_list(bench: Bench, rounds: int) -> Finding:
    """Lists the client's devices, some more than a person has plugged in."""
    for number, driver in enumerate(("usb-kbd", "usb-mouse", "usb-tablet", "usb-storage", "usb-audio", "usb-kbd")):
        bench.lab.client.usb_add(driver, f"bench{number}")
    bench.lab.client.run("udevadm settle")
    return _list_beside_lsusb(bench.lab.client, LIST, rounds)


def _list_beside_lsusb(client: Guest, goal: Goal, rounds: int) -> Finding:
    out = client.run_as(
        "user", _turns("", rounds, ours=["qvd-usb", "list"], lsusb=["lsusb"], bare=_BARE), timeout=600
    ).out
    taken = json.loads(out)
    reference = [one + other for one, other in zip(taken["lsusb"], taken["bare"], strict=True)]
    return Finding(goal=goal, ours=in_milliseconds(taken["ours"]), reference=in_milliseconds(reference))


def at_a_full_desk(suite: str, rounds: int) -> Measured:
    """Lists a hundred devices: a client that is booted with them; keyboards, mice, tablets, sticks."""
    with Lab.open(suite=suite, level="product", name="bench-desk") as lab:
        with stage(f"booting a client with {full_desk.DEVICES} devices"):
            lab.boot_anew(lab.client, "", full_desk.arguments())
            lab.client.until(f"test $({_LISTED}) = {full_desk.DEVICES}", timeout=300)
            lab.client.run("udevadm settle --timeout=300", timeout=330)
        lab.client.push(_INSIDE, _TOOLS)
        with stage("timing the list"):
            found = _list_beside_lsusb(lab.client, LIST_HUNDRED, rounds)
        listed, seen = lab.client.run(f"{_LISTED}; lsusb | wc -l").out.split()
        said = f"{LIST_HUNDRED.name}: qvd-usb shows {listed}, lsusb {seen} with the hubs"
        return Measured(findings=(found,), said=(said,), machine=guests(lab))


def time_of_rights(server: Guest, goal: Goal, kind: str, rounds: int) -> Measured:
    """Gives and takes a right for each of many devices, on the lists of one back end; and says its pace."""
    server.push(_INSIDE, _TOOLS)
    taken = json.loads(server.run(f"python3 {_TOOLS}/rights.py {kind} {rounds}", timeout=900).out)
    ours = in_milliseconds(taken["ours"])
    finding = Finding(goal=goal, ours=ours, reference=in_milliseconds(taken["by_hand"]))
    parts = statistics.quantiles(ours, n=100)
    words = f"p50 {parts[49]:.2f} ms, p99 {parts[98]:.2f} ms after the kernel's word"
    pace = f"{len(ours) / sum(taken['all']):.0f} a second, {len(ours) // rounds} rights a round"
    return Measured(findings=(finding,), said=(f"{goal.name}: {words}; {pace}",))


def by_lxc(bench: Bench, rounds: int) -> Measured:
    """The same for a container that LXC's own list keeps; stops the agent."""
    bench.one.stop(kill=True)
    lines = bench.lab.server.run("qvd-usb-agent lxc-config --backend lxc one").out
    bench.one.write_config(f"{base_config('one')}{lines}\n")
    bench.one.start()
    bench.one.wait()
    bench.lab.server.run("systemctl stop qvd-usb-agent")  # it would take back what it did not give
    return time_of_rights(bench.lab.server, RIGHT_LXC, "lxc", rounds)


def by_files(rounds: int) -> Measured:
    """The same by the files of cgroup v1, on the Debian that still has it."""
    with Lab.open(suite="bookworm", level="product", name="bench-v1") as lab:
        lab.boot_anew(lab.server, CGROUP_V1)
        with stage("timing the rights: the files of cgroup v1"):
            measured = time_of_rights(lab.server, RIGHT_V1, "v1", rounds)
        return together([measured, Measured(machine=guests(lab))])


def agent_at_rest(bench: Bench, seconds: int) -> str:
    """What the agent takes while nothing happens, in words."""
    show = "systemctl show -P CPUUsageNSec qvd-usb-agent"
    before, after = bench.lab.server.run(f"{show}; sleep {seconds}; {show}", timeout=seconds + 60).out.split()
    status = bench.lab.server.run("cat /proc/$(systemctl show -P MainPID qvd-usb-agent)/status").out
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    busy = (int(after) - int(before)) / 1e9 / seconds
    return f"the agent at rest: {busy:.2%} of a processor over {seconds} s, {resident / 1024:.1f} MiB resident"


def measure(suite: str, rounds: int) -> Measured:
    """What one lab gives: the device's way, the hook, the list, the rights, the agent at rest."""
    with Lab.open(suite=suite, level="product", name="bench") as lab:
        bench = Bench(lab)
        with stage("timing tick to ready, and the same by hand"):
            ready = time_to_ready(bench, max(3, rounds // 4))
        with stage("timing the hook"):
            hook = time_of_hook(bench, rounds)
        with stage("timing the list"):
            listed = time_of_list(bench, rounds)
        with stage("watching the agent at rest"):
            at_rest = agent_at_rest(bench, 90)
        some = max(2, rounds // 5)
        with stage("timing the rights: the map"):
            mapped = time_of_rights(lab.server, RIGHT, "map", some)
        with stage("timing the rights: LXC's own list"):
            listed_by_lxc = by_lxc(bench, some)
        ran_on = guests(lab)
    without = less_starts(ready.findings[0], hook.reference)
    rest = Measured(findings=(hook, listed), said=(without, at_rest), machine=ran_on)
    return together([ready, rest, mapped, listed_by_lxc])
