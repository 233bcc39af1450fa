"""EFFECT: compiles every translation (`make translations`): python3 resources/install/translate.py FOLDER TARGET."""

import sys
from pathlib import Path

from translations import compile_ts


def main() -> int:
    """Writes TARGET/LANGUAGE.qm for each FOLDER/picker_LANGUAGE.ts and names it."""
    folder, target = map(Path, sys.argv[1:])
    target.mkdir(parents=True, exist_ok=True)
    for source in sorted(folder.glob("picker_*.ts")):
        place = target / f"{source.stem.removeprefix('picker_')}.qm"
        place.write_bytes(compile_ts(source.read_text(encoding="utf-8")))
        print(place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
