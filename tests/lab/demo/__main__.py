"""EFFECT: runs the demo.    python3 -m tests.lab.demo [--suite trixie] [--out build/demo]"""

import argparse
import sys
from pathlib import Path

from tests.lab.demo import back, there
from tests.lab.demo.desk import FOLDER
from tests.lab.demo.timeline import LinkBrokenError, Timeline, table
from tests.lab.demo.way import DEVICES, Way
from tests.lab.lab import Lab

PICTURES = {"talked": "picker-2-in-use.png", "home": "picker-3-returned.png", "listed": "picker-1-listed.png"}


def walk(way: Way) -> None:
    """Takes every step; saves the picker's picture after the last step of the links named in PICTURES."""
    order = there.steps() + back.steps()
    for index, step in enumerate(order):
        way.take(step)
        last_of_its_link = index + 1 == len(order) or order[index + 1].link != step.link
        if step.link in PICTURES and last_of_its_link:
            way.desk.picture(way.pictures / PICTURES[step.link])


def finish(way: Way) -> None:
    """Prints the table of times and saves the picture of the timeline."""
    doubt = max(way.client.doubt, way.server.doubt) * 1000
    footer = [
        *table(way.timeline, [device.name for device in DEVICES]),
        f"(the clocks of the guests are known to ±{doubt:.0f} ms)",
    ]
    sys.stdout.write("\n" + "\n".join(footer) + "\n")
    way.timeline.save(way.pictures / "timeline.json", footer)
    client = way.lab.client
    client.push(way.pictures / "timeline.json", f"{FOLDER}/timeline.json")
    client.run(
        f"QT_QPA_PLATFORM=offscreen python3 {FOLDER}/paint.py {FOLDER}/timeline.json {FOLDER}/timeline.png", timeout=120
    )
    client.pull(f"{FOLDER}/timeline.png", way.pictures / "timeline.png")


def show(way: Way) -> bool:
    """Takes the whole way, and prints and paints what was seen, whatever came of it. Returns whether all of it held."""
    try:
        walk(way)
    except LinkBrokenError as error:
        way.lab.collect(way.pictures / "failed")
        sys.stderr.write(f"demo: broken at {error}\n  what the guests say is in {way.pictures / 'failed'}\n")
        return False
    finally:
        finish(way)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.lab.demo",
        description=(
            "Carries two devices from a client machine into a container and back, on real kernels,"
            " and shows each link as it is observed."
        ),
    )
    parser.add_argument("--suite", default="trixie", help="Debian release of both guests (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path("build/demo"), help="folder of the pictures (default: %(default)s)"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with Lab.open(suite=options.suite, level="product") as lab:
        way = Way(lab, Timeline("One device, all the way: client → server → container, and back"), options.out)
        way.prepare()
        if not show(way):
            return 1
        lab.health()
    sys.stdout.write(f"\nEvery line was observed in a guest. Pictures: {options.out}/\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
