"""Batches have the structure of the data: arrays, tuples, lists, dicts, namedtuples, dataclasses, nested."""

import gc
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbatch as fb


class Pair(NamedTuple):
    x: Any
    y: Any


@dataclass
class Record:
    x: Any
    y: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Frozen:
    x: Any
    y: Any = None


@dataclass
class Derived:
    x: Any
    total: float = field(init=False)

    def __post_init__(self):
        self.total = float(self.x.sum())


Renamed = namedtuple("Renamed", ["x", "def"], rename=True)


class Checked(Renamed):
    """A class that does something of its own where a tuple is made."""

    def __new__(cls, x, y):
        made = super().__new__(cls, x, y)
        made.n_rows = len(x)
        return made


class ByHand(tuple):
    """What looks like a namedtuple, and takes its parts in another way."""

    _fields = ("x", "y")

    def __new__(cls, x, y):
        return super().__new__(cls, (x, y))


X, Y = np.arange(20.0).reshape(10, 2), np.arange(10)
ORDER = [7, 7, 0, 3]


def same(batch, expected):
    """Same containers, same arrays."""
    assert type(batch) is type(expected)
    if isinstance(expected, np.ndarray):
        assert batch.dtype == expected.dtype
        assert np.array_equal(batch, expected)
    elif isinstance(expected, dict):
        assert list(batch) == list(expected)
        for key in expected:
            same(batch[key], expected[key])
    elif isinstance(expected, (Record, Frozen)):
        same((batch.x, batch.y), (expected.x, expected.y))
    else:
        assert len(batch) == len(expected)
        for left, right in zip(batch, expected, strict=True):
            same(left, right)


# ---------------------------------------------------------------------------------------------------------------------
# Every kind
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda x, y: x,
        lambda x, y: (x,),
        lambda x, y: (x, y),
        lambda x, y: [x],
        lambda x, y: [x, y, x],
        lambda x, y: {"x": x, "y": y},
        lambda x, y: {"y": y, "x": x},
        lambda x, y: {1: x, (2, 3): y, None: x},
        lambda x, y: Pair(x, y),
        lambda x, y: Renamed(x, y),
        lambda x, y: Checked(x, y),
        lambda x, y: ByHand(x, y),
        lambda x, y: (Pair(x, y), Checked(y, Pair(x, x))),
        lambda x, y: Record(x, y),
        lambda x, y: Frozen(x=x, y=y),
        lambda x, y: ({"a": [x, (y, x)], "b": Pair(Record(y, x), y)}, [Frozen(x=y, y={"c": (x,)})]),
        lambda x, y: (x, (), [], {}, y),
    ],
)
def test_a_batch_has_the_structure_of_the_data(make):
    batch = next(iter(fb.Loader(make(X, Y), 4, sampler=ORDER)))
    same(batch, make(X[ORDER], Y[ORDER]))


@given(st.data())
def test_any_nesting_is_kept(data):
    leaves = st.sampled_from([X, Y])

    def kinds(inner):
        return st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.dictionaries(st.text(max_size=2), inner, max_size=3),
            st.builds(Pair, inner, inner),
            st.builds(Record, inner, inner),
        )

    tree = data.draw(st.tuples(leaves, st.recursive(leaves, kinds, max_leaves=8)))

    def rows(node):
        if isinstance(node, np.ndarray):
            return node[ORDER]
        if isinstance(node, dict):
            return {key: rows(item) for key, item in node.items()}
        if isinstance(node, (Pair, Record)):
            return type(node)(rows(node.x), rows(node.y))
        return type(node)(map(rows, node))

    same(next(iter(fb.Loader(tree, 4, sampler=ORDER))), rows(tree))


def test_what_a_namedtuples_class_does_is_done():
    (batch,) = fb.Loader(Checked(X, Y), 10)
    assert batch.n_rows == 10
    ((_, batch),) = fb.Loader((X, Checked(X, Y)), 10)
    assert batch.n_rows == 10


def test_namedtuples_of_arrays_have_no_hash():
    (batch,) = fb.Loader(Pair(np.arange(3), np.arange(3)), 3)
    with pytest.raises(TypeError, match="unhashable"):
        hash(batch)


def test_namedtuples_are_whole_objects_to_the_garbage_collector():
    held = list(fb.Loader(Pair(X, Pair(Y, X)), 1))
    for batch in held:
        assert gc.is_tracked(batch)
        assert batch._replace(x=0).y is batch.y
    held.append(held)
    del batch, held
    gc.collect()


@pytest.mark.parametrize("mapping", [OrderedDict(y=Y, x=X), MappingProxyType({"y": Y, "x": X})])
def test_any_mapping_becomes_a_dict_in_its_order(mapping):
    batch = next(iter(fb.Loader(mapping, 4)))
    assert type(batch) is dict
    assert list(batch) == ["y", "x"]


def test_a_dataclass_is_made_from_its_init_fields():
    batch = next(iter(fb.Loader(Derived(X), 4)))
    assert batch.total == X[:4].sum()


def test_each_batch_is_a_container_of_its_own():
    loader = fb.Loader([X, {"y": Y}], 4)
    first, second = next(iter(loader)), next(iter(loader))
    first[1]["z"] = 1
    first.append(2)
    assert list(second[1]) == ["y"]
    assert len(next(iter(loader))) == 2


def test_changing_the_users_container_later_changes_nothing():
    data = {"x": X, "y": Y}
    loader = fb.Loader(data, 4)
    data["z"] = data.pop("x")
    assert list(next(iter(loader))) == ["x", "y"]


# ---------------------------------------------------------------------------------------------------------------------
# What is no structure of arrays
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "path", "name"),
    [
        (None, "data", "NoneType"),
        (5, "data", "int"),
        ("text", "data", "str"),
        (b"bytes", "data", "bytes"),
        ({1, 2}, "data", "set"),
        (Record, "data", "type"),
        ((X, None), r"data\[1\]", "NoneType"),
        ([X, [Y, "a"]], r"data\[1\]\[1\]", "str"),
        ({"x": X, "y": 3}, r"data\['y'\]", "int"),
        ({"x": {"a": [X, 2.5]}}, r"data\['x'\]\['a'\]\[1\]", "float"),
        (Pair(X, object()), r"data\.y", "object"),
        (Record(Pair(X, range(3)), Y), r"data\.x\.y", "range"),
    ],
)
def test_a_leaf_that_is_no_array_is_named(data, path, name):
    with pytest.raises(TypeError, match=rf"^{path} must be an array, or a tuple.*, got {name}$"):
        fb.Loader(data, 4)


@pytest.mark.parametrize("data", [(), [], {}, [[], {}], ((),)])
def test_data_without_any_array_is_refused(data):
    with pytest.raises(ValueError, match="data must hold at least one array, got "):
        fb.Loader(data, 4)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X, Y[:9]), r"columns differ in length: data\[0\] has 10 rows, data\[1\] has 9"),
        ({"x": X, "y": Y[:0]}, r"columns differ in length: data\['x'\] has 10 rows, data\['y'\] has 0"),
        (Pair(Y[:1], [Y[:1], X]), r"columns differ in length: data\.x has 1 rows, data\.y\[1\] has 10"),
    ],
)
def test_columns_of_different_lengths_are_refused_by_name(data, message):
    with pytest.raises(ValueError, match=message):
        fb.Loader(data, 4)


@pytest.mark.parametrize(
    ("leaf", "error", "message"),
    [
        (np.array(3), ValueError, "must have an axis of rows, got a 0-d array"),
        (np.float64(3), ValueError, "must have an axis of rows, got a 0-d array"),
        (np.array(["a", None]), TypeError, "must have items of fixed size.* got dtype object"),
        (np.zeros(10, [("a", "i4"), ("b", "O")]), TypeError, "must have items of fixed size"),
        (np.ma.masked_array(Y, Y > 3), TypeError, "must not be a masked array"),
    ],
    ids=["0-d", "scalar", "object", "object field", "masked"],
)
def test_arrays_that_have_no_rows_of_fixed_size_are_refused_by_name(leaf, error, message):
    with pytest.raises(error, match=r"data\['x'\]\[1\] " + message):
        fb.Loader({"x": [X, leaf]}, 4)
    with pytest.raises(error, match="data " + message):
        fb.Loader(leaf, 4)


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy 1 has no StringDType")
def test_strings_of_variable_width_are_refused_by_name():
    with pytest.raises(TypeError, match=r"data\['x'\] must have items of fixed size.* got dtype StringDType"):
        fb.Loader({"x": np.array(["a"] * 10, np.dtypes.StringDType())}, 4)
