"""The lab's progress is seen while tests run, not only after one has failed."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def test_what_the_lab_says_passes_by_the_capture(tmp_path: Path) -> None:
    scenario = tmp_path / "test_it.py"
    scenario.write_text("from tests.lab.progress import say\n\n\ndef test_it() -> None:\n    say('a guest boots')\n")
    options = ["-p", "tests.lab.progress_shown", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, scenario],
        check=False,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "a guest boots" in done.stderr
    assert "a guest boots" not in done.stdout
