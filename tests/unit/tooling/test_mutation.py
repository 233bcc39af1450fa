"""`make mutation` is content only when each survivor is explained and each explanation is about a survivor."""

from pathlib import Path

import pytest

from tests.mutation.modules import MODULES
from tests.mutation.survivors import Change, change_of, judge, parse_explained

DIFF = """\
--- qvd_usbip/vhci.py
+++ qvd_usbip/vhci.py
@@ -1,4 +1,4 @@
 def half_of(speed):
     # which half
-    return "ss" if speed >= SUPER else "hs"
+    return "ss" if speed > SUPER else "hs"
"""
CHANGE = Change(
    module="vhci",
    lines=('- return "ss" if speed >= SUPER else "hs"', '+ return "ss" if speed > SUPER else "hs"'),
)


def explained(repository: Path) -> dict[Change, str]:
    return parse_explained((repository / "tests/mutation/equivalent.toml").read_text(encoding="utf-8"))


def test_a_mutant_is_the_lines_that_it_changed() -> None:
    assert change_of("vhci", DIFF) == CHANGE


def test_a_survivor_that_nothing_explains_is_wrong() -> None:
    (wrong,) = judge([CHANGE], [], ["vhci"])
    assert "no test notices this" in wrong
    assert "speed > SUPER" in wrong


def test_an_explanation_that_fits_nothing_any_more_is_wrong() -> None:
    (wrong,) = judge([], [CHANGE], ["vhci"])
    assert "no such mutant survives" in wrong


def test_an_explained_survivor_is_right_and_of_other_modules_none_is_missed() -> None:
    assert judge([CHANGE], [CHANGE], ["vhci"]) == []
    assert judge([], [CHANGE], ["share_list"]) == []


@pytest.mark.parametrize(
    "text",
    [
        '[[equivalent]]\nmodule = "vhci"\nchange = ["- a", "+ b"]\n',
        '[[equivalent]]\nmodule = "vhci"\nwhy = "it is"\n',
        '[[equivalent]]\nmodule = "vhci"\nchange = ["- a", "+ b"]\nwhy = "it is"\n' * 2,
    ],
)
def test_an_entry_without_a_reason_or_without_a_change_is_refused_and_so_is_one_that_stands_twice(text: str) -> None:
    with pytest.raises(ValueError, match="equivalent"):
        parse_explained(text)


def test_every_file_of_a_module_is_there(repository: Path) -> None:
    named = [name for module in MODULES.values() for name in (*module.files, *module.tests)]
    assert [name for name in named if not (repository / name).is_file()] == []


def test_what_is_explained_still_stands_in_its_module(repository: Path) -> None:
    for change in explained(repository):
        code = "\n".join((repository / name).read_text(encoding="utf-8") for name in MODULES[change.module].files)
        known = {line.strip() for line in code.splitlines()}
        assert [line for line in change.lines if line[0] == "-" and line[2:] not in known] == []
