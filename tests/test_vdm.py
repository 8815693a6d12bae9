"""Samples of VDM as they are kept: numbers, and one list of what they are for all modules of a kind."""

from array import array

import pytest

from agent.maps.vdm import Definitions, VdmSamples, joined, named
from agent.model import Bounds, VdmSample
from tests.test_costs import session_of

LIMITS = Bounds(high_alarm=80.0, low_alarm=-5.0)
SAMPLES = (
    VdmSample("laser_temperature", 1, 1, 41.5, "degC", LIMITS, ("high_alarm",)),
    VdmSample("snr_media_input", 2, 1, 21.25, "dB"),
)


def kept(first: float = 41.5) -> VdmSamples:
    definitions = Definitions(
        ("laser_temperature", "snr_media_input"), (1, 2), (1, 1), ("degC", "dB"), (LIMITS, {})
    )
    return VdmSamples(definitions, array("d", (first, 21.25)), (("high_alarm",), ()))


def test_who_walks_through_them_finds_samples() -> None:
    assert tuple(kept()) == SAMPLES
    assert [type(each) for each in kept()] == [VdmSample, VdmSample]
    assert (kept()[1], kept()[-1], kept()[:1], len(kept())) == (SAMPLES[1], SAMPLES[1], SAMPLES[:1], 2)


def test_equal_is_what_has_the_same_samples() -> None:
    assert kept() == SAMPLES
    assert kept() == kept()
    assert kept() != kept(41.25)
    assert kept() != SAMPLES[:1]
    assert kept() != "ab"


def test_runs_become_one() -> None:
    one = kept()
    assert joined([one]) is one
    assert joined([]) == ()
    assert joined([one, SAMPLES]) == SAMPLES + SAMPLES


@pytest.mark.parametrize("product", ["osfp-2x400g-dr4", "qsfpdd-400g-zr"])
def test_modules_of_a_kind_differ_in_their_numbers_alone(product: str) -> None:
    one, other = (session_of(product, serial).refresh().values for serial in ("AA1", "BB2"))
    assert one is not None
    assert other is not None
    assert len(one.vdm) > 5
    assert one.vdm != other.vdm
    pairs = list(zip(one.vdm, other.vdm, strict=True))
    assert all(mine._replace(value=0.0) == his._replace(value=0.0) for mine, his in pairs)
    assert all(mine.bounds is his.bounds for mine, his in pairs)


def test_one_observable_is_found_without_the_others() -> None:
    assert named(kept(), "snr_media_input") == named(SAMPLES, "snr_media_input") == [(2, 21.25)]
    assert named(kept(), "cfo") == named(SAMPLES, "cfo") == []
