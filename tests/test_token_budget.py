"""fb.TokenBudget: batches of as many rows as their length allows."""

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb
import reference_lengths as twin
from fastbatch._native import sampler as native
from fastbatch._native.batches import BatchFeed
from fastbatch._native.column import GatherColumn
from fastbatch._native.engine import Engine
from fastbatch._native.lengths import plan_batches
from fastbatch._native.structure import LEAF
from iterating import KEY, open_epoch
from programs import assert_quiet, forks_with_threads, run_program
from reference import chi_square, chi_square_limits, is_permutation, key_of_seed
from threads import run_threads

LENGTHS = st.one_of(
    st.lists(st.integers(1, 40), max_size=120),
    st.lists(st.integers(1, 2**31 - 1), max_size=40),
    st.lists(st.integers(1, 3), min_size=500, max_size=900),
)
WORKERS = [(0, None), (2, 1), (2, 5)]


def lengths_of(n, seed=0):
    """Like those of sentences."""
    return np.clip(np.exp(np.random.default_rng(seed).normal(4, 1, n)), 1, 512).astype(np.int64)


def loaders(sampler, world_size=1, **options):
    """One for each rank, of rows that tell their number."""
    options = {"seed": 3, "rows": True, **options}
    return [
        fb.Loader(np.arange(sampler.n) * 10, batch_sampler=sampler, rank=rank, world_size=world_size, **options)
        for rank in range(world_size)
    ]


def rows_of(batch):
    rows = batch[1].tolist()
    assert batch[0].tolist() == [10 * row for row in rows]
    return rows


# ---------------------------------------------------------------------------------------------------------------------
# The plan
# ---------------------------------------------------------------------------------------------------------------------


@given(
    LENGTHS,
    st.sampled_from([0, 1, 3, 100, 10**6]),
    st.none() | st.integers(1, 50),
    st.sampled_from([1, 1, 2, 8, 64, 1000]),
    st.sampled_from([1, 2, 15, 17, 100, 600, 10**9]),
    st.integers(0, 2**70),
    st.integers(0, 2**40),
)
def test_it_is_its_twin(lengths, more, max_rows, multiple, window, seed, epoch):
    tokens = max((twin.padded(length, multiple) for length in lengths), default=1) + more
    sampler = fb.TokenBudget(lengths, tokens, max_rows, multiple=multiple, window=window)
    assert sampler.n == len(sampler) == len(lengths)
    expected = twin.token_budget(lengths, tokens, max_rows, multiple, window, key_of_seed(seed), epoch)
    batches = sampler.batches(seed, epoch)
    assert [batch.tolist() for batch in batches] == expected
    assert sampler.order(seed, epoch).tolist() == [row for batch in expected for row in batch]
    assert sampler.padding(seed, epoch) == pytest.approx(twin.padding(lengths, expected, multiple), abs=1e-12)
    for batch in expected:
        assert len(batch) * max(twin.padded(lengths[row], multiple) for row in batch) <= tokens
        assert len(batch) <= (max_rows or len(batch))


@pytest.mark.parametrize(("tokens", "max_rows", "multiple"), [(4096, None, 1), (16_384, None, 8), (16_384, 64, 1)])
@pytest.mark.parametrize("n", [1000, 100_000])
def test_batches_are_full_and_have_little_padding(n, tokens, max_rows, multiple):
    lengths = lengths_of(n)
    sampler = fb.TokenBudget(lengths, tokens, max_rows, multiple=multiple)
    batches = sampler.batches(0, 0)
    assert is_permutation(np.concatenate(batches), n)
    widths = np.array([twin.padded(lengths[batch].max(), multiple) for batch in batches])
    sizes = widths * np.array([len(batch) for batch in batches])
    assert sizes.max() <= tokens
    if max_rows is not None:
        assert max(map(len, batches)) <= max_rows
    fully_sorted = fb.TokenBudget(lengths, tokens, max_rows, multiple=multiple, window=n)
    assert fully_sorted.padding(0, 0) <= sampler.padding(0, 0) <= fully_sorted.padding(0, 0) + 0.03
    if max_rows is None and n == 100_000:
        assert sizes.mean() > 0.95 * tokens


def test_the_window_is_that_of_256_full_batches():
    lengths = np.full(10_000, 10)
    assert fb.TokenBudget(lengths, 100).window == 2560
    assert fb.TokenBudget(lengths, 100, 5).window == 1280
    assert fb.TokenBudget(lengths[:100], 100).window == 2560
    assert fb.TokenBudget([], 100).window == 1
    assert fb.TokenBudget([7], 2**61).window == 256
    assert fb.TokenBudget(lengths, 100, window=3).window == 3


def test_batches_stand_anywhere():
    lengths = np.arange(1, 17)
    sampler = fb.TokenBudget(lengths, 16, 1)
    places = np.zeros((16, 16), np.int64)
    for epoch in range(3000):
        places[np.arange(16), sampler.order(1, epoch)] += 1
    low, high = chi_square_limits(15)
    for of_place in places:
        assert low < chi_square(of_place, 3000 / 16) < high


def test_lengths_are_copied_and_may_be_of_any_integers():
    lengths = lengths_of(300).astype(np.int16)
    expected = fb.TokenBudget(lengths.tolist(), 1000).order(0, 0)
    for dtype in ("u2", ">i4", "i8", "u8"):
        mine = lengths.astype(dtype)[::-1].copy()[::-1]
        sampler = fb.TokenBudget(mine, 1000)
        mine[:] = 1
        assert np.array_equal(sampler.order(0, 0), expected)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "said"),
    [
        (([3, 0, 2], 9), {}, ValueError, r"^lengths must be at least 1 and below 2\*\*31, got 0 for row 1$"),
        (([3, 4, -2], 9), {}, ValueError, r"^lengths must be at least 1 and below 2\*\*31, got -2 for row 2$"),
        (([[1]], 9), {}, ValueError, r"^lengths must be of shape \(n,\) with n < 2\*\*32, got shape \(1, 1\)$"),
        ((["a"], 9), {}, TypeError, "^lengths must be integers, got dtype <U1$"),
        (([3, 12, 2], 9), {}, ValueError, "^tokens must be at least 12: row 1 has 12, got 9$"),
        (
            ([3, 9, 2], 9),
            {"multiple": 8},
            ValueError,
            "^tokens must be at least 16: row 1 has 9, 16 as a multiple of 8, got 9$",
        ),
        (([], 0), {}, ValueError, r"^tokens must be at least 1 and below 2\*\*62, got 0$"),
        (([1], 2.5), {}, TypeError, "integer"),
        (([1], 9, 0), {}, ValueError, "^max_rows must be at least 1, got 0$"),
        (([1], 9), {"multiple": 0}, ValueError, r"^multiple must be at least 1 and at most 2\*\*31, got 0$"),
        (([1], 9), {"window": 0}, ValueError, r"^window must be at least 1 and below 2\*\*62, got 0$"),
    ],
)
def test_what_cannot_be_is_refused(arguments, options, error, said):
    with pytest.raises(error, match=said):
        fb.TokenBudget(*arguments, **options)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"n": 4}, ValueError, "^the batch_sampler has lengths of 3 rows, the data has 4$"),
        ({"batch_size": 2}, ValueError, "^batch_sampler excludes batch_size"),
        ({"uneven": "pad"}, ValueError, '^uneven="pad" needs a batch_size: with a TokenBudget no batch'),
    ],
)
def test_what_does_not_go_with_it_is_refused_by_the_loader(options, error, said):
    n = options.pop("n", 3)
    with pytest.raises(error, match=said):
        fb.Loader(np.arange(n), batch_sampler=fb.TokenBudget([1, 2, 3], 9), **options)


def test_it_is_no_sampler_of_rows():
    with pytest.raises(TypeError, match=r"^a TokenBudget says what a batch is: give it as batch_sampler, without"):
        fb.Loader(np.arange(3), 2, sampler=fb.TokenBudget([1, 2, 3], 9))
    loader = fb.Loader(np.arange(3), batch_sampler=fb.TokenBudget([1, 2, 3], 9))
    with pytest.raises(ValueError, match=r"^batch_size cannot be set with a batch_sampler"):
        loader.batch_size = 3
    assert loader.batch_size is None


def test_it_says_what_it_is():
    sampler = fb.TokenBudget([1, 2, 3], 9)
    assert repr(sampler) == "TokenBudget(3 rows, tokens=9)"
    assert repr(fb.TokenBudget([1, 2, 3], 9, 2)) == "TokenBudget(3 rows, tokens=9, max_rows=2)"
    others = [
        *(fb.TokenBudget([1, 2, 4], 9), fb.TokenBudget([1, 2, 3], 8, window=sampler.window)),
        *(fb.TokenBudget([1, 2, 3], 9, 2, window=sampler.window), fb.TokenBudget([1, 2, 3], 9, multiple=2)),
        fb.TokenBudget([1, 2, 3], 9, window=2),
    ]
    assert len({other.fingerprint for other in [sampler, *others]}) == 6


def test_explain_says_what_batches_there_are():
    lengths = lengths_of(3000)
    sampler = fb.TokenBudget(lengths, 4096, window=1000)
    (loader,) = loaders(sampler, seed=4)
    for epoch in (0, 1):
        said, share = loader.explain().splitlines(), twin.padding(lengths, sampler.batches(4, epoch))
        assert said[:3] == [
            "3,000 rows in batches of up to 4,096 tokens, padding counted",
            "order: TokenBudget(3000 rows, tokens=4096), seed 4, planned when an epoch begins, 4 bytes per row, "
            "sorted in windows of 1,000 rows",
            f"epoch {epoch}: {len(loader)} batches, {share:.1%} padding where batches are padded to their longest row",
        ]
        assert "last batch" not in loader.explain()
        for i, _ in enumerate(loader):
            assert i > 0 or loader.explain().splitlines()[:3] == said[:3]
    sampler = fb.TokenBudget(lengths, 4096, 64, multiple=8, rows=np.arange(1, 3000, 2))
    loader = loaders(sampler, 2, seed=4)[1]
    said = loader.explain().splitlines()
    assert said[0] == "1,500 of 3,000 rows in batches of up to 4,096 tokens and 64 rows, padding counted"
    assert said[2] == (
        f"epoch 0: {len(loader)} batches on each rank, {sampler.padding(4, 0):.1%} padding where batches are padded to "
        "their longest row, rounded up to a multiple of 8"
    )
    assert "epoch 0: 0 batches, 0.0% padding" in loaders(fb.TokenBudget([], 9))[0].explain()


# ---------------------------------------------------------------------------------------------------------------------
# From a Loader
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("threads", "prefetch"), WORKERS)
@given(st.lists(st.integers(1, 40), max_size=300), st.integers(40, 200), st.integers(0, 2**70))
def test_a_loader_has_its_batches(threads, prefetch, lengths, tokens, seed):
    sampler = fb.TokenBudget(lengths, tokens, window=50)
    (loader,) = loaders(sampler, seed=seed, threads=threads, prefetch=prefetch)
    for epoch in range(3):
        expected = [batch.tolist() for batch in sampler.batches(seed, epoch)]
        assert len(loader) == loader.remaining == len(expected)
        assert [rows_of(batch) for batch in loader] == expected
        assert [rows_of(loader.batch(epoch, i)) for i in range(len(expected))] == expected
    with pytest.raises(IndexError, match=r"is out of range for an epoch of"):
        loader.batch(0, len(sampler.batches(seed, 0)))
    loader.close()


@pytest.mark.parametrize(("threads", "prefetch"), WORKERS)
@pytest.mark.parametrize("multiple", [1, 8])
def test_what_is_padded_stays_within_the_budget(multiple, threads, prefetch):
    lengths = lengths_of(3000)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = np.arange(offsets[-1])
    ragged = fb.Ragged(tokens, offsets, pad=-1, multiple=multiple)
    sampler = fb.TokenBudget(ragged.lengths, 4096, multiple=multiple)
    loader = fb.Loader(ragged, batch_sampler=sampler, seed=3, rows=True, threads=threads, prefetch=prefetch)
    n_padding = n_all = 0
    for batch, rows in loader:
        assert batch.values.size <= 4096
        assert np.array_equal(batch.lengths, lengths[rows])
        assert np.array_equal(batch.values[:, 0], offsets[rows])
        n_padding += np.count_nonzero(batch.values == -1)
        n_all += batch.values.size
    assert n_padding / n_all == pytest.approx(sampler.padding(3, 0))


LENGTHS_AND_MULTIPLES = st.lists(st.integers(1, 40), min_size=1, max_size=30), st.sampled_from([1, 2, 3, 4, 6, 8, 64])


@given(*LENGTHS_AND_MULTIPLES, *LENGTHS_AND_MULTIPLES, st.none() | st.sampled_from([192, 384]), st.booleans())
def test_what_would_be_padded_beyond_the_budget_is_refused(of_rows, padded_to, counted, counted_to, length, same):
    counted = of_rows if same else (counted * 30)[: len(of_rows)]
    width = [length or twin.padded(n, padded_to) for n in of_rows]
    counts = [twin.padded(n, counted_to) for n in counted]
    ragged = fb.Ragged(np.arange(sum(of_rows)), np.cumsum([0, *of_rows]), multiple=padded_to, length=length)
    budget = fb.TokenBudget(counted, 100, multiple=counted_to)
    wider = [row for row in range(len(of_rows)) if width[row] > counts[row]]
    if wider:
        with pytest.raises(
            ValueError, match=rf"must count what rows are padded to, and row {wider[0]}, {of_rows[wider[0]]} long"
        ):
            fb.Loader(ragged, batch_sampler=budget)
        return
    for batch in fb.Loader(ragged, batch_sampler=budget):
        assert batch.values.size <= 100


MADE = {"values": np.arange(40), "offsets": [0, 5, 30, 40]}
LONG = [5, 25, 10]


@pytest.mark.parametrize(
    ("options", "lengths", "multiple", "said"),
    [
        (
            {"multiple": 8},
            LONG,
            1,
            r"row 0, 5 long, is padded to 8 \(multiple=8\), and counted as 5 \(multiple=1\): give it the lengths "
            "and the multiple of the Ragged$",
        ),
        (
            {"multiple": 12},
            LONG,
            8,
            r"row 0, 5 long, is padded to 12 \(multiple=12\), and counted as 8 \(multiple=8\): ",
        ),
        (
            {},
            [5, 24, 10],
            1,
            r"row 1, 25 long, is padded to 25 \(multiple=1\), and counted as 24 \(multiple=1\): give it",
        ),
        (
            {"length": 16},
            [5, 16, 10],
            1,
            r"row 0, 5 long, is padded to 16 \(length=16\), and counted as 5 \(multiple=1\): rows that are all padded "
            "to one length need a batch_size$",
        ),
        (
            {"length": 16},
            LONG,
            8,
            r"row 0, 5 long, is padded to 16 \(length=16\), and counted as 8 \(multiple=8\): rows",
        ),
    ],
)
def test_the_refusal_names_the_column_and_the_row(options, lengths, multiple, said):
    ragged = fb.Ragged(**MADE, **options)
    budget = fb.TokenBudget(lengths, 100, multiple=multiple)
    rule = "the batch_sampler must count what rows are padded to, and "
    for data, name in (
        (ragged, r"data\.values"),
        ({"y": np.arange(3), "x": [ragged]}, r"data\['x'\]\[0\]\.values"),
        ((np.arange(3), fb.concat([ragged])), r"data\[1\]\.values"),
    ):
        with pytest.raises(ValueError, match=f"^{name}: {rule}{said}"):
            fb.Loader(data, batch_sampler=budget)
        fb.Loader(data, 2)


@pytest.mark.parametrize(
    ("options", "lengths", "multiple"),
    [
        ({}, LONG, 1),
        ({}, LONG, 8),
        ({"multiple": 8}, LONG, 8),
        ({"multiple": 8}, LONG, 16),
        ({"multiple": 5}, LONG, 1),  # they are multiples of 5
        ({}, [6, 30, 30], 1),
        ({"length": 16}, [5, 25, 10], 16),
        ({"length": 16}, [16, 16, 16], 1),
        ({"layout": "packed"}, [1, 1, 1], 1),
        ({"layout": "packed", "length": 4}, [1, 1, 1], 1),
    ],
)
def test_what_stays_within_the_budget_is_not_refused(options, lengths, multiple):
    budget = fb.TokenBudget(lengths, 100, multiple=multiple)
    for batch in fb.Loader(fb.Ragged(**MADE, **options), batch_sampler=budget):
        assert batch.values.size <= 100


def test_large_batches_are_handed_in_a_few_at_a_time():
    sampler = fb.TokenBudget(np.ones(300_000, np.int64), 40_000)
    (loader,) = loaders(sampler, threads=2, prefetch=3)
    assert [rows_of(batch) for batch in loader] == [batch.tolist() for batch in sampler.batches(3, 0)]


@given(
    st.lists(st.integers(1, 40), max_size=150),
    st.integers(40, 400),
    st.integers(1, 9),
    st.sampled_from(["wrap", "exact"]),
    st.sampled_from([0, 2]),
)
def test_ranks_share_the_steps(lengths, tokens, world_size, uneven, threads):
    sampler = fb.TokenBudget(lengths, tokens, window=50)
    ranks = loaders(sampler, world_size, uneven=uneven, threads=threads)
    for epoch in range(2):
        batches = [batch.tolist() for batch in sampler.batches(3, epoch)]
        expected = twin.steps(batches, 0, world_size, uneven)
        assert {len(loader) for loader in ranks} == {len(expected)}
        for rank, loader in enumerate(ranks):
            by_number = [rows_of(loader.batch(epoch, i)) for i in range(len(expected))]
            assert [rows_of(batch) for batch in loader] == by_number == [of_ranks[rank] for of_ranks in expected]
        rows = sorted(row for of_ranks in expected for part in of_ranks for row in part)
        if uneven == "exact":
            assert rows == list(range(len(lengths)))
        assert set(rows) == set(range(len(lengths)))


def test_what_is_left_at_the_end_is_split_the_largest_first():
    assert twin.steps([[0] * 5, [1] * 5, [2] * 2], 0, 7, "exact") == [
        [[0, 0], [0, 0], [0], [1, 1], [1, 1], [1], [2, 2]]
    ]
    sampler = fb.TokenBudget(np.full(23, 3), 30)  # 10, 10 and 3 rows
    sizes = [len(batch) for batch in sampler.batches(3, 0)]
    for world_size in (3, 4, 5, 10):
        got = [[len(rows_of(batch)) for batch in loader] for loader in loaders(sampler, world_size)]
        expected = twin.steps([[0] * size for size in sizes], 0, world_size, "wrap")
        assert got == [[len(part)] for part in expected[0]]
        assert max(max(got)) - min(min(got)) <= {3: 7, 4: 7, 5: 2, 10: 1}[world_size]


def test_more_ranks_than_rows():
    sampler = fb.TokenBudget([1, 2, 3], 9)
    order = sampler.order(3, 0).tolist()
    assert [[rows_of(b) for b in loader] for loader in loaders(sampler, 5)] == [[[order[i % 3]]] for i in range(5)]
    exact = [[rows_of(batch) for batch in loader] for loader in loaders(sampler, 5, uneven="exact")]
    assert exact == [[[order[0]]], [[order[1]]], [[order[2]]], [[]], [[]]]


# ---------------------------------------------------------------------------------------------------------------------
# Some of the rows
# ---------------------------------------------------------------------------------------------------------------------

SOME = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 2)), max_size=120)  # lengths, and how often each row comes


@given(SOME, st.integers(40, 200), st.none() | st.integers(1, 50), st.sampled_from([1, 8]), st.integers(0, 2**70))
def test_of_some_rows_it_is_its_twin(some, tokens, max_rows, multiple, seed):
    lengths = [length for length, _ in some]
    rows = [row for row, (_, n) in reversed(list(enumerate(some))) for _ in range(n)]
    sampler = fb.TokenBudget(lengths, tokens, max_rows, multiple=multiple, window=30, rows=rows)
    assert (sampler.n, len(sampler)) == (len(lengths), len(rows))
    own = [lengths[row] for row in rows]
    expected = [
        [rows[place] for place in places]
        for places in twin.token_budget(own, tokens, max_rows, multiple, 30, key_of_seed(seed), 5)
    ]
    assert [batch.tolist() for batch in sampler.batches(seed, 5)] == expected
    assert sampler.order(seed, 5).tolist() == [row for batch in expected for row in batch]
    assert sampler.padding(seed, 5) == pytest.approx(twin.padding(lengths, expected, multiple), abs=1e-12)
    assert sampler.window == 30
    assert fb.TokenBudget(lengths, tokens, rows=rows).window == fb.TokenBudget(own, tokens).window


@given(SOME, st.integers(40, 200), st.integers(1, 5), st.sampled_from(["wrap", "exact"]), st.sampled_from([0, 2]))
def test_ranks_share_some_rows(some, tokens, world_size, uneven, threads):
    rows = [row for row, (_, n) in enumerate(some) for _ in range(n)]
    sampler = fb.TokenBudget([length for length, _ in some], tokens, rows=rows)
    ranks = loaders(sampler, world_size, uneven=uneven, threads=threads)
    for epoch in range(2):
        expected = twin.steps([batch.tolist() for batch in sampler.batches(3, epoch)], 0, world_size, uneven)
        assert {len(loader) for loader in ranks} == {len(expected)}
        for rank, loader in enumerate(ranks):
            by_number = [rows_of(loader.batch(epoch, i)) for i in range(len(expected))]
            assert [rows_of(batch) for batch in loader] == by_number == [of_ranks[rank] for of_ranks in expected]
        if uneven == "exact":
            assert sorted(row for of_ranks in expected for part in of_ranks for row in part) == rows


@pytest.mark.parametrize("threads", [0, 2])
def test_an_epoch_of_some_rows_is_taken_up_at_every_batch(threads):
    training, validation = fb.split(300, [0.8, 0.2], seed=1)
    sampler = fb.TokenBudget(lengths_of(300), 1024, rows=training)
    batches = [batch.tolist() for batch in sampler.batches(3, 1)]
    assert sorted(row for batch in batches for row in batch) == training.tolist()
    (loader,) = loaders(sampler, threads=threads)
    loader.set_epoch(1)
    position = 0
    for i, batch in enumerate(loader):
        position += len(batch[0])
        state = json.loads(json.dumps(loader.state_dict()))
        assert (state["position"], state["rows"]) == (position, 300)
        (other,) = loaders(pickle.loads(pickle.dumps(sampler)), threads=threads, seed=9)
        other.load_state_dict(state)
        for copied in (other, pickle.loads(pickle.dumps(loader))):
            assert copied.remaining == len(batches) - i - 1
            assert [rows_of(batch) for batch in copied] == batches[i + 1 :]
    (loader,) = loaders(fb.TokenBudget(lengths_of(300), 1024, rows=validation))
    assert sorted(row for batch in loader for row in rows_of(batch)) == validation.tolist()
    with pytest.raises(ValueError, match=r"^position must be at most 60, the rows of an epoch, got 61$"):
        loader.load_state_dict({**loader.state_dict(), "position": 61})
    with pytest.raises(ValueError, match=r"^the state does not fit this Loader: its 'sampler' is"):
        loader.load_state_dict(state)


def test_a_state_is_for_the_same_rows():
    lengths = [4, 4, 4, 4]
    sampler = fb.TokenBudget(lengths, 9, window=9, rows=[1, 2, 3])
    assert sampler.fingerprint == fb.TokenBudget(lengths, 9, window=9, rows=np.array([1, 2, 3], np.uint8)).fingerprint
    others = [None, [1, 3, 2], [1, 2], [0, 1, 2], []]
    made = [fb.TokenBudget(lengths, 9, window=9, rows=rows).fingerprint for rows in others]
    assert len({sampler.fingerprint, *made}) == 6
    assert repr(sampler) == "TokenBudget(3 of 4 rows, tokens=9)"


def test_rows_are_copied():
    rows = np.arange(200)[::3]
    sampler = fb.TokenBudget(lengths_of(200), 1024, rows=rows)
    before = sampler.order(0, 0)
    rows[:] = 0
    assert np.array_equal(sampler.order(0, 0), before)
    with pytest.raises(ValueError, match="read-only"):
        sampler.rows[0] = 1


def test_rows_that_do_not_come_count_for_nothing():
    sampler = fb.TokenBudget([2, 50, 3, 3], 9, rows=[0, 2, 3])  # row 1 has more than the budget
    assert sorted(len(batch) for batch in sampler.batches(0, 0)) in ([1, 2], [3])
    ragged = fb.Ragged(np.arange(60), [0, 2, 54, 57, 60])
    for batch in fb.Loader(ragged, batch_sampler=sampler):
        assert batch.values.size <= 9
    with pytest.raises(
        ValueError, match=r"^data\.values: the batch_sampler must count .*, and row 3, 3 long, is padded to 3"
    ):
        fb.Loader(ragged, batch_sampler=fb.TokenBudget([2, 50, 3, 1], 9, rows=[0, 2, 3]))
    for world_size in (1, 3):
        for loader in loaders(fb.TokenBudget([1, 2], 9, rows=[]), world_size):
            assert len(loader) == loader.remaining == 0
            assert list(loader) == []


@pytest.mark.parametrize(
    ("rows", "error", "said"),
    [
        ([0, -1], ValueError, "^rows must not be negative, got -1$"),
        ([[1]], ValueError, r"^rows must be of shape \(k,\), got shape \(1, 1\)$"),
        (1, ValueError, r"^rows must be of shape \(k,\), got shape \(\)$"),
        ([0, 3], IndexError, "^row 3 is out of range for 3 rows$"),
        ([1.5], TypeError, "integer"),
        ([True, False, True], TypeError, "integer"),
        ([2, 1], ValueError, "^tokens must be at least 12: row 1 has 12, got 9$"),
    ],
)
def test_rows_that_are_none_are_refused(rows, error, said):
    with pytest.raises(error, match=said):
        fb.TokenBudget([3, 12, 2], 9, rows=rows)


def test_no_rows():
    for world_size in (1, 3):
        for loader in loaders(fb.TokenBudget([], 9), world_size):
            assert len(loader) == loader.remaining == 0
            assert list(loader) == list(loader) == []
            assert loader.epoch == 2
    assert fb.TokenBudget([], 9).batches(0, 0) == []
    assert fb.TokenBudget([], 9).padding(0, 0) == 0.0


# ---------------------------------------------------------------------------------------------------------------------
# Taken up in the middle
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_it_is_taken_up_at_every_batch_on_any_number_of_ranks(world_size, threads):
    n = 120
    sampler = fb.TokenBudget(lengths_of(n), 1024)
    batches = [batch.tolist() for batch in sampler.batches(3, 1)]
    steps = twin.steps(batches, 0, world_size, "exact")
    ranks = loaders(sampler, world_size, threads=threads, uneven="exact")
    for loader in ranks:
        loader.set_epoch(1)
    iterators = [iter(loader) for loader in ranks]
    position = 0
    for i, of_ranks in enumerate(steps):
        assert [rows_of(next(iterator)) for iterator in iterators] == of_ranks
        position += sum(map(len, of_ranks))
        states = [json.dumps(loader.state_dict()) for loader in ranks]
        assert len(set(states)) == 1
        state = json.loads(states[0])
        assert (state["epoch"], state["position"]) == (1, position)
        assert "sampler_state" not in state
        assert [loader.remaining for loader in ranks] == [len(steps) - i - 1] * world_size
        for n_others in (1, 2, 3):
            expected = twin.steps(batches, position, n_others, "exact")
            others = loaders(sampler, n_others, threads=threads, uneven="exact", seed=9)
            for rank, other in enumerate(others):
                other.load_state_dict(state)
                assert other.remaining == len(expected)
                assert [rows_of(batch) for batch in other] == [parts[rank] for parts in expected]
                assert (other.epoch, other.state_dict()["position"]) == (2, 0)
            if n_others == world_size:
                assert expected == steps[i + 1 :]
    assert [next(iterator, None) for iterator in iterators] == [None] * world_size


@pytest.mark.parametrize("threads", [0, 2])
def test_a_rank_without_rows_in_the_last_step_is_no_further_than_the_others(threads):
    sampler = fb.TokenBudget([9] * 5, 9)  # a row is a batch
    for loader in loaders(sampler, 4, uneven="exact", threads=threads):
        iterator = iter(loader)
        next(iterator)
        assert (loader.state_dict()["position"], loader.remaining) == (4, 1)
        next(iterator)
        assert (loader.state_dict()["position"], loader.remaining) == (5, 0)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=80), st.data())
def test_the_rest_of_a_batch_is_a_batch(lengths, data):
    sampler = fb.TokenBudget(lengths, 100)
    batches = [batch.tolist() for batch in sampler.batches(3, 0)]
    position = data.draw(st.integers(0, len(lengths)))
    world_size = data.draw(st.integers(1, 4))
    expected = twin.steps(batches, position, world_size, "wrap")
    for rank, loader in enumerate(loaders(sampler, world_size)):
        loader.load_state_dict({**loader.state_dict(), "position": position})
        assert loader.remaining == len(expected)
        assert [rows_of(batch) for batch in loader] == [parts[rank] for parts in expected]


def test_a_place_beyond_the_end_is_refused():
    (loader,) = loaders(fb.TokenBudget([1, 2, 3], 9))
    with pytest.raises(ValueError, match=r"^position must be at most 3, the rows of an epoch, got 4$"):
        loader.load_state_dict({**loader.state_dict(), "position": 4})
    with pytest.raises(ValueError, match=r"^the state does not fit this Loader: its 'sampler' is"):
        loaders(fb.TokenBudget([1, 2, 3], 8))[0].load_state_dict(loader.state_dict())


@pytest.mark.parametrize("n_drawn", [0, 1, 4])
@pytest.mark.parametrize("make_copy", [copy.deepcopy, lambda loader: pickle.loads(pickle.dumps(loader))])
def test_a_copy_goes_on_from_the_same_place(n_drawn, make_copy):
    (loader,) = loaders(fb.TokenBudget(lengths_of(200), 1024), seed=None)
    batches = iter(loader)
    for _ in range(n_drawn):
        next(batches)
    other = make_copy(loader)
    assert other.state_dict() == loader.state_dict()
    rest = [rows_of(batch) for batch in (batches if n_drawn else loader)]
    assert [rows_of(batch) for batch in other] == rest
    assert [rows_of(batch) for batch in other] == [rows_of(batch) for batch in loader]


def test_what_was_prefetched_is_not_delivered():
    sampler = fb.TokenBudget(lengths_of(500), 1024)
    batches = sampler.batches(3, 0)
    (loader,) = loaders(sampler, threads=2, prefetch=5)
    iterator = iter(loader)
    for i in range(4):
        next(iterator)
        assert loader.state_dict()["position"] == sum(map(len, batches[: i + 1]))
    (loader,) = loaders(sampler, map=lambda batch: batch, map_threads=2)
    iterator = iter(loader)
    for i in range(4):
        assert rows_of(next(iterator)) == batches[i].tolist()
        assert loader.state_dict()["position"] == sum(map(len, batches[: i + 1]))
        assert loader.remaining == len(batches) - i - 1


def test_an_epoch_can_be_set_and_another_seed_loaded():
    sampler = fb.TokenBudget(lengths_of(300), 1024)
    (loader,) = loaders(sampler)
    loader.set_epoch(7)
    assert len(loader) == len(sampler.batches(3, 7))
    assert [rows_of(batch) for batch in loader] == [batch.tolist() for batch in sampler.batches(3, 7)]
    loader.set_epoch(0)
    assert len(loader) == len(sampler.batches(3, 0))
    loader.load_state_dict(loaders(sampler, seed=5)[0].state_dict())
    assert len(loader) == len(sampler.batches(5, 0))
    assert [rows_of(batch) for batch in loader] == [batch.tolist() for batch in sampler.batches(5, 0)]


def test_an_iterator_that_is_dropped_leaves_its_place():
    sampler = fb.TokenBudget(lengths_of(300), 1024)
    batches = [batch.tolist() for batch in sampler.batches(3, 0)]
    (loader,) = loaders(sampler, threads=2)
    for batch in loader:
        assert rows_of(batch) == batches[0]
        break
    assert loader.state_dict()["position"] == len(batches[0])
    assert [rows_of(batch) for batch in loader] == [batch.tolist() for batch in sampler.batches(3, 1)]


def test_threads_may_share_an_iterator():
    sampler = fb.TokenBudget(lengths_of(20_000), 1024)
    (loader,) = loaders(sampler, threads=2)
    iterator, got = iter(loader), []
    run_threads(*(lambda: got.extend(map(rows_of, iterator)) for _ in range(4)))
    expected = [batch.tolist() for batch in sampler.batches(3, 0)]
    assert sorted(got) == sorted(expected)


FORK = """
import os
import numpy as np
import fastbatch as fb

lengths = np.random.default_rng(0).integers(1, 100, 5000)
sampler = fb.TokenBudget(lengths, 2000)
loader = fb.Loader(np.arange(5000), batch_sampler=sampler, seed=3, threads=2)
iterator = iter(loader)
for _ in range(5):
    next(iterator)
expected = sampler.batches(3, 0)[5:]
child = os.fork()
if child == 0:
    got = list(loader)
    right = len(got) == len(expected) and all(map(np.array_equal, got, expected))
    os._exit(0 if right else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert all(map(np.array_equal, iterator, expected))
"""


@forks_with_threads
def test_a_forked_child_goes_on_from_the_same_place():
    assert_quiet(run_program(FORK))


# ---------------------------------------------------------------------------------------------------------------------
# Doors
# ---------------------------------------------------------------------------------------------------------------------

THREE = np.arange(1, 4, dtype=np.uint32)


def u64(*values):
    return np.array(values, np.uint64)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: plan_batches(np.arange(3), 9, 1, 1, 1, KEY, 0), "^lengths must be a contiguous array of uint32"),
        (lambda: plan_batches(np.array(1, np.uint32), 9, 1, 1, 1, KEY, 0), "^lengths must be a contiguous array of"),
        (lambda: plan_batches(THREE, 2, 1, 1, 1, KEY, 0), "^tokens must be at least 3, got 2$"),
        (lambda: plan_batches(THREE, 7, 1, 8, 1, KEY, 0), "^tokens must be at least 8, got 7$"),
        (lambda: plan_batches(THREE, 9, 1, 0, 1, KEY, 0), r"^multiple must be from 1 to 2\*\*31, got 0$"),
        (lambda: plan_batches(THREE, 9, 0, 1, 1, KEY, 0), "^max_rows and window must be at least 1, got 0 and 1$"),
        (lambda: plan_batches(THREE, 9, 1, 1, 0, KEY, 0), "^max_rows and window must be at least 1, got 1 and 0$"),
        (lambda: BatchFeed(3, THREE, u64(), u64()), "^rows must be below 3, got 3$"),
        (lambda: BatchFeed(4, np.arange(3), u64(), u64()), "^rows must be a contiguous array of uint32, got int64$"),
        (lambda: BatchFeed(4, THREE, np.arange(1), u64(1)), "^begins and ends must be contiguous arrays of uint64"),
        (lambda: BatchFeed(4, THREE, u64(0), u64(4)), "^batches must lie within the 3 rows, each with a begin and"),
        (lambda: BatchFeed(4, THREE, u64(2), u64(1)), "^batches must lie within the 3 rows"),
        (lambda: BatchFeed(4, THREE, u64(0, 1), u64(1)), "^batches must lie within the 3 rows"),
        (
            lambda: BatchFeed(4, THREE, u64(0), u64(1))(opened(native.Sequential(4))),
            "^the epoch must be fed batches, of 4 rows",
        ),
        (
            lambda: BatchFeed(4, THREE, u64(0), u64(1))(opened(native.Fed(3), fed=True)),
            "^the epoch must be fed batches, of 4",
        ),
    ],
)
def test_the_doors_are_shut(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def opened(sampler, **options):
    return open_epoch(Engine([GatherColumn(np.arange(4))], LEAF, [None]), sampler, 2, **options)
