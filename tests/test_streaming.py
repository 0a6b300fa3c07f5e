"""fb.Shuffle(method="streaming"): a random order that is nowhere in memory."""

import hashlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
import reference
from fastbatch._native.sampler import STREAMED_MIN_ROWS, Streamed
from fastbatch._native.simd import SUPPORTED, simd_path
from programs import assert_quiet, run_program
from reference import ascent_fault, is_permutation, key_of_seed, lag_fault, neighbour_fault, place_fault

N = STREAMED_MIN_ROWS
# Grids that are full, that lack a cell, that have a row with one cell alone.
SIZES = [N, N + 1, N + 255, 300**2, 2**17, 2**18 - 1, 2**18 + 1, 1_000_003]


# ---------------------------------------------------------------------------------------------------------------------
# The order
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", SIZES)
def test_every_row_comes_once(n):
    for epoch in range(3):
        assert is_permutation(fb.Shuffle(n, "streaming").order(0, epoch), n)


@given(
    st.integers(N, 2**62 - 1) | st.integers(N, 2**20) | st.sampled_from([2**32 - 1, 2**32, 2**62 - 1]),
    st.integers(0, 2**70),
    st.integers(0, 2**63),
    st.data(),
)
def test_each_place_is_that_of_its_twin(n, seed, epoch, data):
    position = data.draw(st.integers(0, n - 1))
    places = range(position, min(n, position + 300))
    loader = fb.Loader(data_of(n), 300, sampler=fb.Shuffle(n, "streaming"), seed=seed, rows=True)
    loader.set_epoch(epoch)
    loader.load_state_dict({**loader.state_dict(), "position": position})
    _, rows = next(iter(loader))
    assert rows.tolist() == [reference.streamed(place, n, key_of_seed(seed), epoch) for place in places]


def data_of(n):
    """n rows that are one row in memory."""
    return np.broadcast_to(np.zeros(1, np.uint8), (n,))


@pytest.mark.parametrize("n", [0, 1, 1000, N - 1])
def test_small_orders_are_exact(n):
    assert np.array_equal(fb.Shuffle(n, "streaming").order(3, 4), fb.Shuffle(n).order(3, 4))


def test_seeds_and_epochs_give_other_orders():
    sampler = fb.Shuffle(N, method="streaming")
    orders = {sampler.order(seed, epoch).tobytes() for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_it_begins_at_once_and_takes_no_memory_with_a_million_million_rows():
    n = 10**12
    loader = fb.Loader(data_of(n), 256, sampler=fb.Shuffle(n, "streaming"), seed=0, rows=True)
    tracemalloc.start()
    try:
        for _ in range(3):
            loader.set_epoch(loader.epoch + 1)
            rows = next(iter(loader))[1]
            assert len(np.unique(rows)) == 256
            assert rows.max() > 10**11
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()
    assert loader.stats().live_nbytes < 10**6


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_a_loader_follows_it(threads):
    sampler = fb.Shuffle(N + 7, "streaming")
    loader = fb.Loader(np.arange(N + 7), 1000, sampler=sampler, seed=5, threads=threads)
    for epoch in range(2):
        assert np.array_equal(np.concatenate(list(loader)), sampler.order(5, epoch))


# ---------------------------------------------------------------------------------------------------------------------
# Statistics: those of the exact order
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", SIZES)
def test_neighbours_lags_and_ascents_are_those_of_a_random_order(n):
    for epoch in range(4):
        order = fb.Shuffle(n, "streaming").order(11, epoch)
        assert neighbour_fault(order) is None
        assert lag_fault(order) is None
        assert ascent_fault(order) is None


def epochs(n, n_orders):
    sampler = fb.Shuffle(n, "streaming")
    return np.stack([sampler.order(13, epoch).astype(np.int32) for epoch in range(n_orders)])


@pytest.mark.parametrize("n", [N, N + 1])
def test_rows_stand_anywhere(n):
    orders = epochs(n, 200)
    assert place_fault(orders, 16) is None
    assert place_fault(orders, 64) is None


def test_the_low_bits_of_places_and_rows_are_independent():
    table = np.zeros((64, 64), np.int64)
    for order in epochs(N, 100):
        np.add.at(table, (np.arange(N) % 64, order % 64), 1)
    low, high = reference.chi_square_limits(63**2)
    assert low < reference.chi_square(table.ravel(), table.sum() / table.size) < high


def test_the_same_places_of_many_epochs_are_independent():
    """16 blocks of rows at two neighbouring places, and at two in one column of the grid."""
    firsts = np.concatenate([fb.Shuffle(N, "streaming").order(17, epoch)[None, :512] for epoch in range(3000)])
    for near, far in ((0, 1), (0, 255), (0, 256), (5, 261)):
        blocks = firsts[:, near] * 16 // N * 16 + firsts[:, far] * 16 // N
        assert reference.uniform_fault(np.bincount(blocks, minlength=256)) is None


def test_a_network_of_two_rounds_is_refused():
    order = np.array([reference.streamed(place, N, key_of_seed(0), 0, n_rounds=2) for place in range(N)])
    assert neighbour_fault(order) or lag_fault(order) or ascent_fault(order)


def test_pairs_of_neighbours_are_equally_likely():
    orders = epochs(N, 300)[:, :64] * 20 // N
    counts = np.zeros(400, np.int64)
    for position in range(63):
        counts += np.bincount(orders[:, position] * 20 + orders[:, position + 1], minlength=400)
    assert reference.uniform_fault(counts) is None


# ---------------------------------------------------------------------------------------------------------------------
# Paths
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("simd", SUPPORTED)
@pytest.mark.parametrize("n", [N, N + 1, 300**2, 1_000_003])
def test_every_path_gives_the_same_order(simd, n):
    key = key_of_seed(3)
    assert np.array_equal(Streamed(n, simd).order(key, 2), Streamed(n, "baseline").order(key, 2))


PROGRAM = """
import hashlib
import fastbatch as fb
from fastbatch._native.simd import simd_path
print(simd_path(), hashlib.sha256(fb.Shuffle(100_000, "streaming").order(0, 0)).hexdigest())
"""


@pytest.mark.parametrize("simd", SUPPORTED)
def test_a_path_can_be_forced(simd):
    digest = hashlib.sha256(fb.Shuffle(100_000, "streaming").order(0, 0)).hexdigest()
    assert_quiet(run_program(PROGRAM, FASTBATCH_SIMD=simd), f"{simd} {digest}")


def test_without_a_name_the_widest_path_is_taken(monkeypatch):
    monkeypatch.delenv("FASTBATCH_SIMD", raising=False)
    assert run_program(PROGRAM).stdout.split()[0] == SUPPORTED[-1]
    assert run_program(PROGRAM, FASTBATCH_SIMD="").stdout.split()[0] == SUPPORTED[-1]


def test_another_name_is_refused_at_the_import():
    done = run_program(PROGRAM, FASTBATCH_SIMD="sse9")
    assert done.returncode == 1
    said = "FASTBATCH_SIMD must be a SIMD path that this machine has, of " + ", ".join(SUPPORTED) + ", got 'sse9'"
    assert said in done.stderr


def test_a_path_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match=r"^the SIMD path must be one .*, of baseline.*, got 'sse9'$"):
        Streamed(N, "sse9")


def test_explain_names_the_path():
    assert f"SIMD: {simd_path()}, " in fb.Loader(np.arange(3), 1).explain()


# ---------------------------------------------------------------------------------------------------------------------
# Arguments
# ---------------------------------------------------------------------------------------------------------------------


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r'^method must be "exact" or "streaming", got \'fast\'$'):
        fb.Shuffle(10, "fast")
    with pytest.raises(ValueError, match=r"^n must be at least 65536 and below 2\*\*62, got 4611686018427387904$"):
        fb.Shuffle(2**62, "streaming")


def test_it_says_what_it_is():
    assert repr(fb.Shuffle(10)) == "Shuffle(10)"
    assert repr(fb.Shuffle(10, "streaming")) == "Shuffle(10, method='streaming')"
    assert fb.Shuffle(N, "streaming").fingerprint != fb.Shuffle(N).fingerprint
