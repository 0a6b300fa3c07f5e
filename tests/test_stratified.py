"""fb.Stratified: every row once, and the classes of the whole in any run of rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
import reference
from reference import assert_fair_prefixes, is_permutation, key_of_seed

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=8)


def labels_of(sizes):
    return np.random.default_rng(sum(sizes)).permutation(np.repeat(np.arange(len(sizes)), sizes))


@given(SIZES, st.integers(0, 2**70), st.integers(0, 2**40))
def test_every_prefix_has_the_classes_of_the_whole_and_every_row_comes_once(sizes, seed, epoch):
    labels = labels_of(sizes)
    sampler = fb.Stratified(labels)
    order = sampler.order(seed, epoch)
    assert sampler.n == len(sampler) == len(labels)
    assert is_permutation(order, len(labels))
    assert_fair_prefixes(order, labels, sizes)
    assert order.tolist() == reference.balanced(labels, key_of_seed(seed), epoch, "stop", sizes)
    assert np.array_equal(order, fb.Balanced(labels, proportions=sizes).order(seed, epoch))  # as its docstring says


@pytest.mark.parametrize("sizes", [(60_000, 30_000, 9000, 1000), (100_000,), (1, 99_999), (5,) * 4000])
def test_long_orders_too(sizes):
    labels = labels_of(sizes)
    order = fb.Stratified(labels).order(1, 2)
    assert is_permutation(order, len(labels))
    codes, n = labels[order], len(labels)
    for code in range(min(len(sizes), 20)):
        met = np.concatenate([[0], np.cumsum(codes == code)])
        assert np.abs(met * n - np.arange(n + 1) * sizes[code]).max() < n


@pytest.mark.parametrize("batch_size", [1, 10, 64, 333])
def test_every_batch_has_them_to_within_two_rows(batch_size):
    labels = labels_of((700, 200, 95, 5))
    shares = np.bincount(labels) / len(labels)
    for _, got in fb.Loader((np.arange(1000), labels), batch_size, sampler=fb.Stratified(labels), seed=0):
        assert (np.abs(np.bincount(got, minlength=4) - shares * len(got)) < 2).all()


def test_rows_of_a_class_come_in_a_new_random_order_each_epoch():
    labels = np.repeat([0, 1], [1000, 3000])
    sampler = fb.Stratified(labels)
    of_class = [order[labels[order] == 1] for order in (sampler.order(0, epoch) for epoch in range(2))]
    assert not np.array_equal(*of_class)
    assert abs(np.corrcoef(of_class[0], np.arange(3000))[0, 1]) < reference.Z_ONE / 3000**0.5


def test_too_many_classes_are_refused():
    with pytest.raises(ValueError, match=r"^labels must have at most 2\*\*20 classes, got 1048577$"):
        fb.Stratified(np.arange(2**20 + 1))


def test_it_says_what_it_is():
    labels = [0, 1, 1, 2]
    assert repr(fb.Stratified(labels)) == "Stratified(4 rows, 3 classes)"
    assert fb.Stratified(labels).fingerprint != fb.Balanced(labels).fingerprint
    assert fb.Stratified(labels).classes.tolist() == [0, 1, 2]
