"""Which kernel has which defect: by its number where that proves something, and no guess where it does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip.kernel_defects import (
    DEFECTS,
    ISOCHRONOUS,
    Defect,
    Kernel,
    Maker,
    Side,
    Verdict,
    findings,
    judge,
    kernel_of,
)

TRIXIE = ("6.12.95+deb13-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.12.95-1 (2026-07-05)")
BOOKWORM = ("6.1.0-41-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-1 (2026-10-01)")


@pytest.mark.parametrize(
    ("words", "version", "maker"),
    [
        (TRIXIE, (6, 12, 95), Maker.DEBIAN),
        (BOOKWORM, (6, 1, 192), Maker.DEBIAN),
        (("6.1.0-41-rt-amd64", "#1 SMP PREEMPT_RT Debian 6.1.192-1+deb12u1 (x)"), (6, 1, 192), Maker.DEBIAN),
        (("6.12.83", "#1 SMP"), (6, 12, 83), Maker.UPSTREAM),
        (("6.13.0+", "#1 SMP"), (6, 13, 0), Maker.UPSTREAM),
        (("7.1", "#1 SMP"), (7, 1, 0), Maker.UPSTREAM),
        (("7.1-rc2", "#1 SMP"), (7, 1, 0), Maker.OTHER),
        (("6.8.0-45-generic", "#45-Ubuntu SMP"), (6, 8, 0), Maker.OTHER),
        (("6.18.24-200.fc43.x86_64", "#1 SMP"), (6, 18, 24), Maker.OTHER),
    ],
)
def test_the_number_and_whose_it_is(words: tuple[str, str], version: tuple[int, ...], maker: Maker) -> None:
    assert kernel_of(*words) == Kernel(version=version, maker=maker)


@pytest.mark.parametrize("release", ["", "linux", "6", "6.x", "v6.12.1", "\u0666.1.2"])
def test_what_is_no_number_is_none(release: str) -> None:
    kernel = kernel_of(release, "#1 SMP")
    assert kernel is None
    assert judge(ISOCHRONOUS, kernel).verdict == Verdict.CANNOT_TELL


@pytest.mark.parametrize(
    ("version", "maker", "verdict"),
    [
        ((6, 12, 83), Maker.DEBIAN, Verdict.FIXED),
        ((6, 12, 82), Maker.DEBIAN, Verdict.APPLIES),
        ((6, 12, 82), Maker.UPSTREAM, Verdict.APPLIES),
        ((6, 12, 82), Maker.OTHER, Verdict.CANNOT_TELL),
        ((6, 12, 83), Maker.OTHER, Verdict.FIXED),
        ((6, 1, 192), Maker.DEBIAN, Verdict.APPLIES),
        ((5, 10, 300), Maker.UPSTREAM, Verdict.APPLIES),
        ((6, 13, 99), Maker.UPSTREAM, Verdict.APPLIES),
        ((7, 0, 0), Maker.UPSTREAM, Verdict.APPLIES),
        ((7, 0, 1), Maker.UPSTREAM, Verdict.FIXED),
        ((7, 1, 0), Maker.UPSTREAM, Verdict.FIXED),
        ((8, 4, 2), Maker.OTHER, Verdict.FIXED),
    ],
)
def test_the_isochronous_defect(version: tuple[int, ...], maker: Maker, verdict: Verdict) -> None:
    assert judge(ISOCHRONOUS, Kernel(version=version, maker=maker)).verdict == verdict


def test_why_is_said() -> None:
    assert judge(ISOCHRONOUS, kernel_of(*TRIXIE)).why == "6.12.95 has the fix of 6.12.83"
    assert judge(ISOCHRONOUS, kernel_of(*BOOKWORM)).why == "no fixed release is known of the series 6.1"
    old = judge(ISOCHRONOUS, Kernel(version=(6, 12, 5), maker=Maker.UPSTREAM))
    assert old.why == "6.12.5 is older than 6.12.83, which has the fix"


def test_one_that_began_later_and_one_that_nobody_mended() -> None:
    broken = next(defect for defect in DEFECTS if defect.code == "isochronous-broken")
    assert judge(broken, Kernel(version=(4, 14, 7), maker=Maker.UPSTREAM)).verdict == Verdict.FIXED
    assert judge(broken, Kernel(version=(4, 19, 3), maker=Maker.UPSTREAM)).verdict == Verdict.CANNOT_TELL
    always = next(defect for defect in DEFECTS if not defect.fixed)
    assert judge(always, Kernel(version=(9, 9, 9), maker=Maker.OTHER)).verdict == Verdict.APPLIES


def test_what_a_newer_kernel_takes_is_no_defect_of_it() -> None:
    faster = next(defect for defect in DEFECTS if defect.code == "super-speed-plus")
    assert judge(faster, kernel_of(*TRIXIE)).verdict == Verdict.FIXED
    assert judge(faster, kernel_of(*BOOKWORM)).verdict == Verdict.APPLIES


def test_each_end_hears_of_its_own_and_of_what_both_have() -> None:
    kernel = kernel_of(*TRIXIE)
    host, client = (findings(side, kernel) for side in (Side.HOST, Side.CLIENT))
    assert {finding.defect.side for finding in host} == {Side.HOST, Side.BOTH}
    assert {finding.defect.side for finding in client} == {Side.CLIENT, Side.BOTH}
    assert {finding.defect for finding in (*host, *client)} == set(DEFECTS)
    assert len({defect.code for defect in DEFECTS}) == len(DEFECTS)


@given(st.sampled_from(DEFECTS), st.tuples(*[st.integers(0, 400)] * 3), st.integers(0, 50), st.sampled_from(Maker))
def test_within_a_series_a_later_release_is_never_worse(
    defect: Defect, version: tuple[int, int, int], later: int, maker: Maker
) -> None:
    first, second, third = version
    before = judge(defect, Kernel(version=version, maker=maker)).verdict
    after = judge(defect, Kernel(version=(first, second, third + later), maker=maker)).verdict
    assert before != Verdict.FIXED or after == Verdict.FIXED or version < defect.since
