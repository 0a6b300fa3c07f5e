"""fb.Mixture: rows of several sources in given shares."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
import reference
from reference import assert_fair_prefixes, assert_passes, balanced_length, key_of_seed


@st.composite
def mixtures(draw):
    sizes = draw(st.lists(st.integers(1, 30), min_size=1, max_size=6))
    ratios = draw(st.lists(st.integers(0, 9), min_size=len(sizes), max_size=len(sizes)).filter(any))
    return sizes, ratios, draw(st.sampled_from(["stop", "recycle"]))


@given(mixtures(), st.integers(0, 2**70), st.integers(0, 2**40))
def test_sources_are_dealt_as_classes_are(mixture, seed, epoch):
    sizes, ratios, exhausted = mixture
    sources = np.repeat(np.arange(len(sizes)), sizes)
    sampler = fb.Mixture(sizes, ratios, exhausted=exhausted)
    order = sampler.order(seed, epoch)
    assert sampler.n == sum(sizes)
    assert len(sampler) == len(order) == balanced_length(sources, exhausted, ratios)
    assert_fair_prefixes(order, sources, ratios)
    assert_passes(order, sources, exhausted, left_out=[i for i, ratio in enumerate(ratios) if ratio == 0])
    assert order.tolist() == reference.balanced(sources, key_of_seed(seed), epoch, exhausted, ratios)
    balanced = fb.Balanced(sources, proportions=ratios, exhausted=exhausted)
    assert np.array_equal(order, balanced.order(seed, epoch))  # as its docstring says


def test_a_loader_mixes():
    sizes = [700, 200, 100]
    data = np.repeat([0, 1, 2], sizes)
    loader = fb.Loader(data, 100, sampler=fb.Mixture(sizes, [0.5, 0.25, 0.25], exhausted="recycle"), seed=0)
    for batch in list(loader)[:-1]:
        assert np.bincount(batch).tolist() == [50, 25, 25]


def test_ratios_of_any_unit():
    assert np.array_equal(
        fb.Mixture([50, 60], [0.3, 0.1]).order(0, 0),
        fb.Mixture([50, 60], np.array([3, 1])).order(0, 0),
    )


@pytest.mark.parametrize(
    ("sizes", "ratios", "error", "said"),
    [
        ([], [], ValueError, r"^sizes must be at least 1, of at least one source, got \[\]$"),
        ([3, 0], [1, 1], ValueError, r"^sizes must be at least 1, of at least one source, got \[3, 0\]$"),
        ([3, 4], [1], ValueError, r"^ratios must have one weight for each of 2 classes, got 1$"),
        ([3, 4], [1, -1], ValueError, r"^ratios must be finite and not negative, got -1$"),
        ([3, 4], [math.nan, 1], ValueError, r"^ratios must be finite and not negative, got nan$"),
        ([3, 4], [0, 0], ValueError, r"^ratios must not all be 0$"),
        ([1.5], [1], TypeError, "integer"),
        ([2**62, 2**62], [1, 1], ValueError, "below"),
    ],
)
def test_what_cannot_be_is_refused(sizes, ratios, error, said):
    with pytest.raises(error, match=said):
        fb.Mixture(sizes, ratios)


def test_another_end_is_refused():
    with pytest.raises(ValueError, match=r'^exhausted must be "stop" or "recycle", got \'later\'$'):
        fb.Mixture([1], [1], exhausted="later")


def test_it_says_what_it_is():
    sampler = fb.Mixture([10, 20], [1, 2.5])
    assert repr(sampler) == "Mixture([10, 20], [1, 2.5], exhausted='stop')"
    assert sampler.fingerprint != fb.Mixture([10, 20], [1, 2]).fingerprint
    assert sampler.fingerprint != fb.Mixture([20, 10], [1, 2.5]).fingerprint
