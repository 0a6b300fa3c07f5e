"""fb.PerClass: groups of some rows of each of some classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
import reference
from reference import key_of_seed


@st.composite
def groupings(draw):
    sizes = draw(st.lists(st.integers(1, 40), min_size=1, max_size=8))
    labels = np.random.default_rng(sum(sizes)).permutation(np.repeat(np.arange(len(sizes)) * 3, sizes))
    return labels, draw(st.integers(1, len(sizes))), draw(st.integers(1, 9))


SEEDS = st.integers(0, 2**70)


@given(groupings(), SEEDS, st.integers(0, 2**40))
def test_it_is_its_twin(grouping, seed, epoch):
    labels, classes, samples = grouping
    sampler = fb.PerClass(labels, classes, samples)
    assert len(sampler) % (classes * samples) == 0
    order = sampler.order(seed, epoch).tolist()
    n_groups = len(order) // (classes * samples)
    assert order == reference.perclass(labels, classes, samples, n_groups, key_of_seed(seed), epoch)


@given(groupings(), SEEDS)
def test_groups_have_their_classes_and_their_rows(grouping, seed):
    labels, classes, samples = grouping
    counts = dict(zip(*np.unique(labels, return_counts=True), strict=True))
    for group in fb.PerClass(labels, classes, samples).order(seed, 0).reshape(-1, classes, samples):
        of_group = labels[group]
        assert (of_group == of_group[:, :1]).all()
        assert len(set(of_group[:, 0])) == classes
        for rows in group:
            assert len(set(rows)) == min(samples, counts[labels[rows[0]]])


@given(groupings(), SEEDS, st.sampled_from(["recycle", "stop"]))
def test_classes_and_rows_come_evenly_at_any_time(grouping, seed, exhausted):
    labels, classes, samples = grouping
    values, counts = np.unique(labels, return_counts=True)
    if exhausted == "stop" and counts.min() < samples:
        return
    order = fb.PerClass(labels, classes, samples, exhausted=exhausted).order(seed, 1)
    turns = labels[order[::samples]]
    for end in range(len(turns) + 1):
        met = [(turns[:end] == value).sum() for value in values]
        assert max(met) - min(met) <= 1
    for value in values:
        own = np.flatnonzero(labels == value)
        for end in (len(order) // 3, len(order) // 2, len(order)):
            met = np.bincount(order[:end], minlength=len(labels))[own]
            assert met.max() - met.min() <= 1
    met = np.bincount(order, minlength=len(labels))
    assert met.min() >= 1 if exhausted == "recycle" else met.max() <= 1


@pytest.mark.parametrize("threads", [0, 2])
def test_a_loader_gives_whole_groups_from_anywhere(threads):
    labels = np.random.default_rng(0).integers(0, 20, 5000)
    sampler = fb.PerClass(labels, 5, 4)
    order = sampler.order(3, 0)
    for position in (0, 20, 1000, len(order) - 20):
        loader = fb.Loader(np.arange(5000), 60, sampler=fb.PerClass(labels, 5, 4), seed=3, threads=threads)
        loader.load_state_dict({**loader.state_dict(), "position": position})
        assert np.array_equal(np.concatenate(list(loader)), order[position:])


@pytest.mark.parametrize("uneven", ["wrap", "exact"])
@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_ranks_have_whole_groups(world_size, uneven):
    labels = np.random.default_rng(0).integers(0, 6, 700)
    sampler = fb.PerClass(labels, 3, 5)
    order = sampler.order(3, 0).tolist()
    options = {"sampler": sampler, "seed": 3, "world_size": world_size, "uneven": uneven}
    got, numbers = [], set()
    ranks = [fb.Loader(np.arange(700), 45, rank=rank, **options) for rank in range(world_size)]
    for batches in zip(*ranks, strict=True):
        for batch in batches:
            assert len(batch) % 15 == 0
            got += batch.tolist()
        numbers.add(tuple(len(batch) for batch in batches))
    missing = (-len(order) // 15 % world_size) * 15 if uneven == "wrap" else 0
    assert got == order + order[:missing]
    assert uneven == "exact" or all(len(set(sizes)) == 1 for sizes in numbers)


@pytest.mark.parametrize("batch_size", [1, 10, 19, 21, 30])
def test_a_batch_that_is_no_multiple_of_a_group_is_refused(batch_size):
    sampler = fb.PerClass(np.arange(100) % 10, 5, 4)
    said = rf"^batch_size must be a multiple of 20, a group's rows, got {batch_size}$"
    with pytest.raises(ValueError, match=said):
        fb.Loader(np.arange(100), batch_size, sampler=sampler)


def test_a_position_inside_a_group_is_refused():
    loader = fb.Loader(np.arange(100), 20, sampler=fb.PerClass(np.arange(100) % 10, 5, 4))
    with pytest.raises(ValueError, match=r"^position must be a multiple of 20, a group's rows, got 10$"):
        loader.load_state_dict({**loader.state_dict(), "position": 10})


def test_rows_of_a_class_are_drawn_uniformly():
    labels = np.repeat([0, 1], [60, 7])
    firsts = np.array([fb.PerClass(labels, 1, 3, exhausted="stop").order(0, epoch)[:3] for epoch in range(9000)])
    of_large = firsts[labels[firsts[:, 0]] == 0]
    assert abs(len(of_large) - 4500) < reference.Z_ONE * (9000 / 4) ** 0.5
    assert reference.uniform_fault(np.bincount(of_large[:, 0], minlength=60)) is None
    assert reference.uniform_fault(np.bincount(of_large[:, 2], minlength=60)) is None


@pytest.mark.parametrize(
    ("arguments", "options", "error", "said"),
    [
        (([0, 1, 1], 3, 1), {}, ValueError, r"^classes must be from 1 to 2, those there are, got 3$"),
        (([0, 1, 1], 0, 1), {}, ValueError, r"^classes must be from 1 to 2, those there are, got 0$"),
        (([0, 1, 1], 2, 0), {}, ValueError, r"^samples must be at least 1 and below 2\*\*31, got 0$"),
        (
            ([0, 1, 1], 2, 2),
            {"exhausted": "stop"},
            ValueError,
            r"^samples must be at most 1, the rows of class 0, got 2$",
        ),
        (([0, 1], 1, 1), {"exhausted": "x"}, ValueError, r'^exhausted must be "recycle" or "stop", got \'x\'$'),
        (([0, 1], 1.0, 1), {}, TypeError, "integer"),
        (([0.5, 1], 1, 1), {}, TypeError, "labels must be integers, bools or strings"),
    ],
)
def test_what_cannot_be_is_refused(arguments, options, error, said):
    with pytest.raises(error, match=said):
        fb.PerClass(*arguments, **options)


def test_it_says_what_it_is():
    sampler = fb.PerClass(["a", "b", "a"], 2, 1)
    assert repr(sampler) == "PerClass(3 rows, 2 classes, groups of 2 x 1, exhausted='recycle')"
    assert sampler.classes.tolist() == ["a", "b"]
    assert sampler.fingerprint != fb.PerClass(["a", "b", "a"], 1, 2).fingerprint
    assert sampler.fingerprint != fb.PerClass(["a", "b", "b"], 2, 1).fingerprint
