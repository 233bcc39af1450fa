"""Each shell completes what `qvd-usb-image` understands."""

import re
import subprocess
from pathlib import Path

import pytest

from vma_hooks import image


def flags_of_check() -> set[str]:
    (verbs,) = [each for each in image.parser()._actions if each.choices]
    assert isinstance(verbs.choices, dict)
    options = verbs.choices["check"]._option_string_actions
    return {flag for flag in options if flag.startswith("--")}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_command_and_its_flags_are_known(repository: Path, shell: str) -> None:
    text = (repository / f"resources/completion/qvd-usb-image.{shell}").read_text()
    assert "check" in text
    written = re.findall(r"--(\w+)|-l (\w+)", text)
    assert flags_of_check() == {f"--{''.join(words)}" for words in written} - {"--"}


def test_bash_completes_command_and_flags(repository: Path) -> None:
    script = (
        f"source {repository}/resources/completion/qvd-usb-image.bash\n"
        'COMP_WORDS=(qvd-usb-image "") COMP_CWORD=1; _qvd_usb_image; echo "${COMPREPLY[*]}"\n'
        'COMP_WORDS=(qvd-usb-image check --) COMP_CWORD=2; _qvd_usb_image; echo "${COMPREPLY[*]}"\n'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["check --help", "--root --json --help"]
