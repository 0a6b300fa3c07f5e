"""fb.Loader's arguments and attributes: row numbers, conflicts, what it says of itself, closing."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

import fastbatch as fb


class Pair(NamedTuple):
    x: np.ndarray
    y: np.ndarray


@dataclass
class Record:
    x: np.ndarray
    y: np.ndarray


X, Y = np.arange(20.0).reshape(10, 2), np.arange(10) * 3

# ---------------------------------------------------------------------------------------------------------------------
# Row numbers
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind", "rows_in"),
    [
        (X, tuple, lambda batch: batch[1]),
        ((X, Y), tuple, lambda batch: batch[2]),
        ([X, Y], list, lambda batch: batch[2]),
        ({"x": X, "y": Y}, dict, lambda batch: batch["rows"]),
        (Pair(X, Y), dict, lambda batch: batch["rows"]),
        (Record(X, Y), dict, lambda batch: batch["rows"]),
        ((X, {"y": Y}), tuple, lambda batch: batch[2]),
    ],
    ids=["array", "tuple", "list", "dict", "namedtuple", "dataclass", "nested"],
)
def test_rows_adds_the_row_numbers_to_each_structure(data, kind, rows_in):
    loader = fb.Loader(data, 4, shuffle=True, seed=1, rows=True)
    order = fb.Shuffle(10).order(1, 0)
    for i, batch in enumerate(loader):
        assert type(batch) is kind
        rows = rows_in(batch)
        assert rows.dtype == np.int64
        assert np.array_equal(rows, order[4 * i : 4 * i + 4])
        features = batch["x"] if kind is dict else batch[0]
        assert np.array_equal(features, X[rows])


def test_rows_keep_the_other_keys_in_their_order():
    assert list(next(iter(fb.Loader(Pair(X, Y), 4, rows=True)))) == ["x", "y", "rows"]


def test_rows_are_those_of_a_users_sampler_counted_from_the_front():
    _, rows = next(iter(fb.Loader(X, 3, sampler=[-1, 0, 4], rows=True)))
    assert rows.tolist() == [9, 0, 4]


@pytest.mark.parametrize("data", [{"rows": X}, {"rows": X, "y": Y}])
def test_rows_refuses_data_that_has_that_key(data):
    with pytest.raises(ValueError, match='rows=True adds the key "rows", which the data has already'):
        fb.Loader(data, 4, rows=True)
    assert set(next(iter(fb.Loader(data, 4)))) == set(data)


# ---------------------------------------------------------------------------------------------------------------------
# Arguments
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "batch_size is required, unless a batch_sampler is given"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1.*, got 0"),
        ({"batch_size": -3}, ValueError, "batch_size must be at least 1.*, got -3"),
        ({"batch_size": 2.0}, TypeError, "^batch_size must be an integer, got 2.0$"),
        ({"batch_size": "2"}, TypeError, "^batch_size must be an integer, got '2'$"),
        ({"batch_size": True}, TypeError, "batch_size must be an integer, got True"),
        ({"batch_size": 2, "shuffle": True, "sampler": [0]}, ValueError, "sampler excludes shuffle"),
        ({"batch_sampler": [[0]], "batch_size": 2}, ValueError, "batch_sampler excludes"),
        ({"batch_sampler": [[0]], "shuffle": True}, ValueError, "batch_sampler excludes"),
        ({"batch_sampler": [[0]], "sampler": [0]}, ValueError, "batch_sampler excludes"),
        ({"batch_sampler": [[0]], "drop_last": True}, ValueError, "batch_sampler excludes"),
        ({"batch_size": 2, "seed": -1}, ValueError, "seed must not be negative, got -1"),
        ({"batch_size": 2, "seed": 1.5}, TypeError, "^seed must be an integer, got 1.5$"),
        ({"batch_size": 2, "output": "tf"}, ValueError, "output must be one of 'numpy', 'torch'.* or None, got 'tf'"),
        ({"batch_size": 2, "sampler": 5}, TypeError, "iterable over row numbers, got int"),
        ({"batch_sampler": 5}, TypeError, "iterable over row numbers, got int"),
        (
            {"batch_sampler": fb.Shuffle(10)},
            TypeError,
            "^a Shuffle says which .*: give it as sampler, with batch_size$",
        ),
        ({"batch_size": 2, "sampler": fb.Shuffle(9)}, ValueError, "draws from 9 rows, the data has 10"),
        ({"batch_size": 2, "sampler": fb.Balanced([0, 1])}, ValueError, "draws from 2 rows, the data has 10"),
    ],
)
def test_wrong_and_conflicting_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        fb.Loader(X, **options)


def test_integers_of_numpy_are_integers():
    loader = fb.Loader(X, np.int32(4), seed=np.uint8(1))
    assert [len(batch) for batch in loader] == [4, 4, 2]


@pytest.mark.parametrize("epoch", [-1, -(2**70)])
def test_set_epoch_refuses_a_negative_epoch_and_changes_nothing(epoch):
    loader = fb.Loader(X, 4)
    next(iter(loader))
    with pytest.raises(ValueError, match=f"epoch must not be negative, got {epoch}"):
        loader.set_epoch(epoch)
    assert loader.state_dict()["position"] == 4


def test_set_epoch_refuses_what_is_no_integer():
    with pytest.raises(TypeError):
        fb.Loader(X, 4).set_epoch(1.0)


# ---------------------------------------------------------------------------------------------------------------------
# Attributes, and what it says of itself
# ---------------------------------------------------------------------------------------------------------------------


def test_it_lacks_the_attributes_that_trainers_poke_at():
    loader = fb.Loader(X, 4, sampler=fb.Shuffle(10))
    next(iter(loader))
    assert not hasattr(loader, "_iterator")
    assert not hasattr(loader, "dataset")


@pytest.mark.parametrize("name", ["seed", "epoch", "rank", "world_size", "remaining"])
def test_its_attributes_are_read_only(name):
    loader = fb.Loader(X, 4)
    with pytest.raises(AttributeError):
        setattr(loader, name, 1)


def test_repr_says_rows_batches_seed_and_place():
    loader = fb.Loader((X, Y), 4, shuffle=True, drop_last=True, seed=77)
    next(iter(loader))
    said = repr(loader)
    for part in ("Loader(", "2 columns", "10 rows", "batch_size=4", "Shuffle(10)", "drop_last=True", "seed=77"):
        assert part in said
    assert "epoch 0, position 4" in said
    assert "closed" not in said
    loader.close()
    assert "closed" in repr(loader)


@pytest.mark.parametrize("options", [{"batch_size": 4, "sampler": [1, 2]}, {"batch_sampler": [[1, 2]]}])
def test_repr_says_what_a_users_sampler_is(options):
    assert " object at 0x" not in repr(fb.Loader(X, **options))


def test_explain_names_columns_their_bytes_and_the_order():
    said = fb.Loader({"x": X, "y": Y}, 4, shuffle=True, seed=77).explain()
    assert "10 rows in batches of 4 rows" in said
    assert "Shuffle(10), seed 77" in said
    assert (
        "data['x']: gather, from the cache, float64 (2,), 16 bytes per row, 64 per batch, handed over as NumPy array"
        in said
    )
    assert "data['y']" in said
    assert "copied" not in said


def test_explain_names_a_column_that_was_copied_and_no_other():
    said = fb.Loader((X, np.arange(60.0).reshape(10, 6)[:, ::2]), 4).explain()
    lines = said.splitlines()
    copied = [i for i, line in enumerate(lines) if "copied once" in line]
    assert len(copied) == 1
    assert "240 bytes" in lines[copied[0]]
    assert "not contiguous" in lines[copied[0]]
    assert lines[copied[0] - 1].startswith("data[1]")


def test_explain_says_torch_where_tensors_are_handed_over():
    pytest.importorskip("torch")
    said = fb.Loader((X, Y), 4, output="torch", rows=True).explain()
    assert said.count("handed over as torch tensor") == 3
    assert "NumPy array" not in said


def test_explain_tells_of_samplers_and_batch_samplers():
    assert "Balanced(10 rows, 2 classes" in fb.Loader(X, 4, sampler=fb.Balanced(np.arange(10) % 2)).explain()
    assert "Given(2 of 10 rows), the same every epoch" in fb.Loader(X, 4, sampler=[1, 2]).explain()
    assert "row numbers from" in fb.Loader(X, 4, sampler={1, 2}).explain()
    said = fb.Loader(X, batch_sampler=[[1, 2]]).explain()
    assert "batches from" in said
    assert said.startswith("10 rows in batches of a batch_sampler\n")


# ---------------------------------------------------------------------------------------------------------------------
# Closing
# ---------------------------------------------------------------------------------------------------------------------


def test_a_closed_loader_refuses_to_go_on_and_its_batches_stay():
    loader = fb.Loader((X, Y), 4)
    batches = iter(loader)
    unused = iter(loader)
    features, labels = next(batches)
    loader.close()
    for attempt in (
        lambda: next(batches),
        lambda: next(unused),
        lambda: iter(loader),
        lambda: loader.batch(0, 0),
    ):
        with pytest.raises(RuntimeError, match="the Loader is closed"):
            attempt()
    assert np.array_equal(features, X[:4])
    labels += 1
    assert np.array_equal(labels, Y[:4] + 1)
    loader.close()


def test_a_closed_loader_still_knows_its_place():
    loader = fb.Loader(X, 4, shuffle=True)
    next(iter(loader))
    before = loader.state_dict()
    loader.close()
    assert loader.state_dict() == before
    assert (loader.epoch, loader.remaining, len(loader)) == (0, 2, 3)
    fresh = fb.Loader(X, 4, shuffle=True)
    fresh.load_state_dict(loader.state_dict())
    assert len(list(fresh)) == 2


def test_a_with_block_closes_it_at_its_end():
    with fb.Loader(X, 4) as loader:
        assert sum(len(batch) for batch in loader) == 10
    with pytest.raises(RuntimeError, match="the Loader is closed"):
        iter(loader)


def test_a_with_block_closes_it_after_an_error_too():
    loader = fb.Loader(X, 4)

    def fail():
        with loader:
            next(iter(loader))
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
    with pytest.raises(RuntimeError, match="the Loader is closed"):
        iter(loader)
