"""fb.Balanced: classes dealt evenly, or in given proportions, in any run of rows."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import fastbatch as fb
from reference import assert_even_windows, assert_fair_prefixes, assert_passes, balanced_length, class_rows

INTEGERS = [np.dtype(order + kind) for order in "<>" for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")]
RULES = st.sampled_from(["stop", "recycle"])
SEEDS = st.integers(0, 2**64)
EPOCHS = st.integers(0, 2**40)


@st.composite
def labellings(draw, max_classes=7, max_rows=12):
    """Labels of 1 to max_classes classes with 1 to max_rows rows each, in no order."""
    sizes = draw(st.lists(st.integers(1, max_rows), min_size=1, max_size=max_classes))
    values = draw(st.lists(st.integers(-128, 127), min_size=len(sizes), max_size=len(sizes), unique=True))
    labels = np.repeat(np.array(values, np.int16), sizes)
    return np.random.default_rng(draw(st.integers(0, 99))).permutation(labels)


def sizes_to_labels(*sizes):
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))


# ---------------------------------------------------------------------------------------------------------------------
# Even deals
# ---------------------------------------------------------------------------------------------------------------------


@given(labellings(), RULES, SEEDS, EPOCHS)
@example(np.zeros(1, np.int64), "stop", 0, 0)
@example(np.array([1, 0]), "recycle", 0, 0)
def test_every_run_of_rows_is_even_and_every_class_keeps_to_its_passes(labels, exhausted, seed, epoch):
    sampler = fb.Balanced(labels, exhausted=exhausted)
    classes, _ = class_rows(labels)
    order = sampler.order(seed, epoch)
    assert sampler.n == len(labels)
    assert len(sampler) == balanced_length(labels, exhausted) == len(order)
    assert order.dtype == np.int64
    assert np.array_equal(sampler.classes, classes)
    assert_even_windows(order, labels)
    assert_passes(order, labels, exhausted)


@pytest.mark.parametrize("exhausted", ["stop", "recycle"])
@pytest.mark.parametrize(
    "sizes",
    [(60_000, 50_000, 1000, 70_000), (200_000,), (1, 50_000), (1,) * 3000, (7,) * 5000, (*range(1, 41), 2000)],
    ids=["four classes", "one class", "a class of one row", "rows of their own", "many classes", "all sizes"],
)
def test_long_orders_are_even_too(sizes, exhausted):
    labels = sizes_to_labels(*sizes)
    order = fb.Balanced(labels, exhausted=exhausted).order(1, 2)
    assert len(order) == balanced_length(labels, exhausted)
    assert_even_windows(order, labels)
    if len(sizes) < 1000:
        assert_passes(order, labels, exhausted)


def test_stop_gives_no_row_twice_and_all_of_the_smallest_class():
    labels = sizes_to_labels(40, 10, 25)
    order = fb.Balanced(labels).order(0, 0)
    assert len(order) == 30
    assert len(np.unique(order)) == 30
    assert set(np.flatnonzero(labels == 1)) <= set(order)


def test_recycle_gives_every_row_and_reshuffles_small_classes():
    labels = sizes_to_labels(100, 20, 50)
    order = fb.Balanced(labels, exhausted="recycle").order(0, 0)
    assert len(order) == 300
    assert set(order) == set(range(170))
    small = order[labels[order] == 1].reshape(5, 20)
    assert len({one_pass.tobytes() for one_pass in small}) == 5


def test_recycle_cuts_the_last_pass_short():
    labels = sizes_to_labels(10, 4)
    order = fb.Balanced(labels, exhausted="recycle").order(0, 3)
    small = order[labels[order] == 1]
    assert len(small) == 10
    assert len(set(small[8:])) == 2


def test_stop_is_the_default():
    labels = sizes_to_labels(5, 3)
    assert len(fb.Balanced(labels)) == len(fb.Balanced(labels, exhausted="stop")) == 6


def test_one_class_is_a_shuffle_of_it():
    for options in ({}, {"exhausted": "recycle"}, {"proportions": [0.3]}, {"proportions": {3: 2}}):
        sampler = fb.Balanced(np.full(50, 3), **options)
        assert sampler.classes.tolist() == [3]
        order = sampler.order(0, 0)
        assert sorted(order) == list(range(50))
        assert order.tolist() != list(range(50))


def test_a_batch_smaller_than_the_number_of_classes_repeats_no_class():
    labels = sizes_to_labels(9, 9, 9, 9, 9)
    order = fb.Balanced(labels).order(0, 0)
    for start in range(0, 45, 3):
        assert len(set(labels[order[start : start + 3]])) == 3


def test_the_class_order_varies_with_the_epoch():
    labels = np.arange(5)
    sampler = fb.Balanced(labels)
    assert len({sampler.order(0, epoch).tobytes() for epoch in range(50)}) > 20


# ---------------------------------------------------------------------------------------------------------------------
# Proportions
# ---------------------------------------------------------------------------------------------------------------------


@given(labellings(), RULES, SEEDS, EPOCHS, st.data())
def test_every_prefix_is_within_one_row_of_the_shares(labels, exhausted, seed, epoch, data):
    classes, _ = class_rows(labels)
    weights = data.draw(st.lists(st.integers(0, 9), min_size=len(classes), max_size=len(classes)).filter(any))
    as_mapping = data.draw(st.booleans())
    proportions = dict(zip(classes.tolist(), weights, strict=True)) if as_mapping else weights
    sampler = fb.Balanced(labels, exhausted=exhausted, proportions=proportions)
    order = sampler.order(seed, epoch)
    assert len(sampler) == balanced_length(labels, exhausted, weights) == len(order)
    assert_fair_prefixes(order, labels, weights)
    left_out = {label for label, weight in zip(classes, weights, strict=True) if not weight}
    assert_passes(order, labels, exhausted, left_out)


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=6), RULES, SEEDS)
def test_weights_may_be_any_floats(weights, exhausted, seed):
    labels = np.repeat(np.arange(len(weights)), 30)
    sampler = fb.Balanced(labels, exhausted=exhausted, proportions=weights)
    order = sampler.order(seed, 0)
    exact = [Fraction(weight) for weight in weights]
    # Weights are rounded to integers first: a length that falls on the edge of a row may go either way.
    assert abs(len(sampler) - balanced_length(labels, exhausted, exact)) <= 1
    assert len(order) == len(sampler)
    counts = (labels[order][:, None] == np.arange(len(weights))).cumsum(axis=0)
    shares = np.array(weights) / np.sum(weights)
    assert np.abs(counts - shares * np.arange(1, len(order) + 1)[:, None]).max() < 1 + 1e-5
    assert_passes(order, labels, exhausted)


def test_proportions_that_add_up_to_anything_mean_the_same():
    labels = sizes_to_labels(50, 50, 50)
    orders = [
        fb.Balanced(labels, proportions=weights).order(1, 1).tolist()
        for weights in ([1, 2, 5], [0.125, 0.25, 0.625], [16, 32, 80], np.array([1, 2, 5]), (1.0, 2, np.float32(5)))
    ]
    assert all(order == orders[0] for order in orders)


def test_proportions_of_a_long_order_hold():
    labels = sizes_to_labels(30_000, 20_000, 5000, 100)
    for exhausted in ("stop", "recycle"):
        weights = [5, 3, 11, 1]
        order = fb.Balanced(labels, exhausted=exhausted, proportions=weights).order(0, 0)
        assert len(order) == balanced_length(labels, exhausted, weights)
        shares = np.array(weights) / 20
        counts = (labels[order][:, None] == np.arange(4)).cumsum(axis=0)
        assert np.abs(counts - shares * np.arange(1, len(order) + 1)[:, None]).max() < 1 + 1e-9


@pytest.mark.parametrize(
    "weights", [[5, 1, 1, 18, 20], [26, 1, 5, 3, 28, 26], [13, 23, 23, 7, 7, 25, 25, 5], [17, 27, 1, 23, 25, 1, 25, 3]]
)
def test_prefixes_hold_where_dealing_to_the_largest_deficit_fails(weights):
    """Giving each row to the class that is furthest behind is a whole row off for these; Tijdeman's rule is not."""
    labels = sizes_to_labels(*(2 * weight for weight in weights))
    order = fb.Balanced(labels, proportions=weights).order(0, 0)
    assert sorted(order) == list(range(len(labels)))
    assert_fair_prefixes(order, labels, weights)


def test_a_class_of_weight_zero_is_left_out_but_remains_a_class():
    labels = np.array([0, 1, 2] * 10)
    sampler = fb.Balanced(labels, proportions={0: 1, 1: 0, 2: 1})
    assert sampler.classes.tolist() == [0, 1, 2]
    assert sampler.n == 30
    order = sampler.order(0, 0)
    assert sorted(order) == [row for row in range(30) if labels[row] != 1]


def test_one_class_of_two_may_have_all_the_weight():
    order = fb.Balanced(sizes_to_labels(4, 6), proportions=[0, 1.5]).order(0, 0)
    assert len(order) == 6


def test_proportions_go_with_text_and_bool_labels():
    text = fb.Balanced(np.array(["dog", "cat", "dog", "cat"]), proportions={"cat": 1, "dog": 1})
    assert len(text) == 4
    raw = fb.Balanced(np.array([b"x", b"y", b"x"]), proportions={b"x": 2, b"y": 1})
    assert len(raw) == 3
    truth = fb.Balanced(np.array([True, False, True]), proportions={True: 2, False: 1})
    assert len(truth) == 3
    numbers = fb.Balanced(np.array([3, 4, 4], np.uint8), proportions={np.int64(3): 1, np.uint8(4): 2})
    assert len(numbers) == 3


@pytest.mark.parametrize("bad", [-1, -0.001, float("nan"), float("inf"), float("-inf")])
def test_refuses_weights_that_are_no_weights(bad):
    labels = np.array([0, 1, 2])
    with pytest.raises(ValueError, match=rf"{bad}"):
        fb.Balanced(labels, proportions=[1, bad, 1])
    with pytest.raises(ValueError, match=rf"{bad}"):
        fb.Balanced(labels, proportions={0: 1, 1: bad, 2: 1})


def test_refuses_weights_that_are_all_zero():
    with pytest.raises(ValueError, match="all"):
        fb.Balanced(np.array([0, 1]), proportions=[0, 0.0])


def test_refuses_weights_for_labels_that_are_not_there():
    with pytest.raises(ValueError, match="7"):
        fb.Balanced(np.array([0, 1]), proportions={0: 1, 1: 1, 7: 1})
    with pytest.raises(ValueError, match="bird"):
        fb.Balanced(np.array(["cat", "dog"]), proportions={"cat": 1, "dog": 1, "bird": 0})


def test_refuses_labels_without_a_weight():
    with pytest.raises(ValueError, match="5"):
        fb.Balanced(np.array([0, 5]), proportions={0: 1})


@pytest.mark.parametrize("weights", [[], [1], [1, 2, 3], [[1, 2]]], ids=str)
def test_refuses_weights_of_another_number_than_the_classes(weights):
    with pytest.raises(ValueError, match="2"):
        fb.Balanced(np.array([0, 1, 1]), proportions=weights)


@pytest.mark.parametrize("weights", [["a", "b"], 3, "ab", [None, 1], {0: "x", 1: 1}], ids=str)
def test_refuses_weights_that_are_no_numbers(weights):
    with pytest.raises((TypeError, ValueError)):
        fb.Balanced(np.array([0, 1]), proportions=weights)


# ---------------------------------------------------------------------------------------------------------------------
# Labels
# ---------------------------------------------------------------------------------------------------------------------


@given(labellings(), st.sampled_from(INTEGERS), RULES)
def test_the_order_depends_on_the_ranks_of_the_labels_only(labels, dtype, exhausted):
    expected = fb.Balanced(labels, exhausted=exhausted).order(3, 4)
    limits = np.iinfo(dtype)
    classes, codes = np.unique(labels, return_inverse=True)
    low, high = int(limits.min), int(limits.max)
    for values in (
        [low + rank for rank in range(len(classes))],
        [high - len(classes) + 1 + rank for rank in range(len(classes))],
        [low, *range(1, len(classes) - 1), high][-len(classes) :],
    ):
        relabelled = np.array(values, dtype)[codes]
        sampler = fb.Balanced(relabelled, exhausted=exhausted)
        assert sampler.classes.tolist() == values
        assert np.array_equal(sampler.order(3, 4), expected)


@pytest.mark.parametrize(
    "values",
    [
        np.array(["ant", "bee", "cat"]),
        np.array(["", "a", "ab"]),
        np.array(["\u00e9t\u00e9", "\u4e2d", "\U0001f600"]),
        np.array([b"", b"a", b"ab"]),
        np.array([b"\x00\x01", b"\x80", b"\xff"]),
        np.array(["ant", "bee", "cat"], ">U7"),
        np.array(["x" * 300, "x" * 299 + "y", "z"]),
    ],
    ids=["words", "prefixes", "unicode", "bytes", "raw bytes", "swapped", "long"],
)
def test_text_labels_are_classes_in_their_sorted_order(values):
    codes = np.random.default_rng(1).integers(0, 3, 200)
    codes[:3] = [0, 1, 2]
    sampler = fb.Balanced(values[codes], exhausted="recycle")
    assert sampler.classes.tolist() == sorted(values.tolist())
    assert np.array_equal(sampler.order(5, 6), fb.Balanced(codes, exhausted="recycle").order(5, 6))


def test_bool_labels_are_two_classes():
    labels = np.random.default_rng(1).integers(0, 2, 100).astype(bool)
    sampler = fb.Balanced(labels)
    assert sampler.classes.dtype == bool
    assert sampler.classes.tolist() == [False, True]
    assert_even_windows(sampler.order(0, 0), labels)


@pytest.mark.parametrize("dtype", [*INTEGERS, "?", "U3", "S2"], ids=str)
def test_classes_are_what_unique_gives(dtype):
    labels = np.array([1, 0, 1, 1, 0]).astype(dtype)
    classes = fb.Balanced(labels).classes
    assert classes.tolist() == np.unique(labels).tolist()
    assert classes.dtype.newbyteorder("=") == labels.dtype.newbyteorder("=")


def test_labels_far_apart_are_told_apart():
    signed = np.array([-(2**63), 2**63 - 1, 0, -(2**63), 2**63 - 1, 0])
    sampler = fb.Balanced(signed)
    assert sampler.classes.tolist() == [-(2**63), 0, 2**63 - 1]
    assert_even_windows(sampler.order(0, 0), signed)
    unsigned = np.array([2**64 - 1, 0, 2**63, 2**64 - 1], np.uint64)
    assert fb.Balanced(unsigned).classes.tolist() == [0, 2**63, 2**64 - 1]
    wide = np.array([0, 2**32, 2**33, 1])
    assert fb.Balanced(wide).classes.tolist() == [0, 1, 2**32, 2**33]


def test_labels_of_many_classes_spread_wide():
    values = np.random.default_rng(2).integers(-(2**62), 2**62, 3000)
    labels = np.repeat(values, 3)
    order = fb.Balanced(labels).order(0, 0)
    assert sorted(order) == list(range(9000))
    assert_even_windows(order, labels)


@pytest.mark.parametrize(
    "layout",
    [
        lambda labels: np.repeat(labels, 2)[::2],
        lambda labels: labels[::-1].copy()[::-1],
        lambda labels: np.stack([labels, labels + 1], axis=1)[:, 0],
        lambda labels: np.frombuffer(b"\0" + labels.tobytes(), np.uint8)[1:].view(labels.dtype),
        lambda labels: labels.tolist(),
        lambda labels: np.broadcast_to(labels, labels.shape),
    ],
    ids=["step", "reversed", "column", "unaligned", "list", "read-only"],
)
def test_labels_may_lie_anyhow(layout):
    labels = sizes_to_labels(9, 5, 7)
    assert np.array_equal(fb.Balanced(layout(labels)).order(1, 2), fb.Balanced(labels).order(1, 2))


def test_later_changes_to_the_labels_do_not_matter():
    labels = sizes_to_labels(9, 5, 7)
    sampler = fb.Balanced(labels)
    order, classes = sampler.order(1, 2), sampler.classes.copy()
    labels[:] = 0
    assert np.array_equal(sampler.order(1, 2), order)
    assert np.array_equal(sampler.classes, classes)


def test_orders_are_pure():
    sampler = fb.Balanced(sizes_to_labels(90, 50, 70), exhausted="recycle")
    first = sampler.order(1, 2).copy()
    others = {sampler.order(seed, epoch).tobytes() for seed, epoch in ((1, 3), (2, 2), (2, 1), (3, 0), (2**64 + 1, 2))}
    assert len(others) == 5
    assert first.tobytes() not in others
    assert np.array_equal(sampler.order(1, 2), first)


def test_seed_and_epoch_are_not_added():
    sampler = fb.Balanced(sizes_to_labels(90, 50, 70))
    assert not np.array_equal(sampler.order(1, 1), sampler.order(2, 0))


@pytest.mark.parametrize("labels", [[], np.zeros(0, np.int64), np.zeros(0, "U3")], ids=repr)
def test_refuses_labels_without_rows(labels):
    with pytest.raises((ValueError, TypeError), match="shape"):
        fb.Balanced(labels)


@pytest.mark.parametrize("labels", [np.array(3), np.zeros((3, 1), np.int64), np.zeros((2, 2), "U1")], ids=str)
def test_refuses_labels_that_are_not_one_axis(labels):
    with pytest.raises((ValueError, TypeError), match="shape"):
        fb.Balanced(labels)


@pytest.mark.parametrize("dtype", ["f4", "f8", "g", "c8", "O", "M8[s]", "m8[s]", "V3", [("a", "i4")]], ids=str)
def test_refuses_labels_of_other_dtypes(dtype):
    with pytest.raises((TypeError, ValueError), match="label"):
        fb.Balanced(np.zeros(4, dtype))


def test_refuses_masked_labels():
    with pytest.raises(TypeError, match="mask"):
        fb.Balanced(np.ma.masked_array([0, 1, 1], mask=[0, 0, 1]))


@pytest.mark.parametrize("rule", ["Stop", "cycle", "", None, 1], ids=repr)
def test_refuses_another_rule_for_exhausted_classes(rule):
    with pytest.raises((ValueError, TypeError), match=rf"{rule!r}.*|.*{rule!r}"):
        fb.Balanced(np.array([0, 1]), exhausted=rule)


def test_options_are_keywords():
    with pytest.raises(TypeError):
        fb.Balanced(np.array([0, 1]), "stop")
