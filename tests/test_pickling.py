"""Pickled Loaders: the same place, seed, sampler and structure; mapped files by path and offset, not by value."""

import copy
import multiprocessing
import pickle
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest

import fastbatch as fb

Pair = namedtuple("Pair", ["x", "y"])


@dataclass
class Record:
    x: np.ndarray
    y: np.ndarray


class Backwards:
    """A sampler that users write: picklable, with a state."""

    def __init__(self, n):
        self.n = n
        self.left = n

    def __len__(self):
        return self.n

    def __iter__(self):
        while self.left:
            self.left -= 1
            yield self.left
        self.left = self.n

    def state_dict(self):
        return {"left": self.left}

    def load_state_dict(self, state):
        self.left = state["left"]


N = 30
X, Y = np.arange(N * 2.0).reshape(N, 2), np.arange(N)


def copied(loader):
    return pickle.loads(pickle.dumps(loader))


def assert_same_batches(left, right):
    left, right = list(left), list(right)
    assert len(left) == len(right) > 0
    for mine, other in zip(left, right, strict=True):
        assert type(mine) is type(other)
        for a, b in zip(leaves(mine), leaves(other), strict=True):
            assert type(a) is type(b)
            assert a.dtype == b.dtype
            assert np.array_equal(np.asarray(a), np.asarray(b))


def leaves(batch):
    if isinstance(batch, dict):
        return list(batch.values())
    if isinstance(batch, Record):
        return [batch.x, batch.y]
    return list(batch) if isinstance(batch, (tuple, list)) else [batch]


OPTIONS = {
    "sequential": {"batch_size": 4},
    "shuffle": {"batch_size": 4, "shuffle": True},
    "drop_last": {"batch_size": 4, "shuffle": True, "drop_last": True, "rows": True},
    "balanced": {"batch_size": 4, "sampler": fb.Balanced(Y % 3)},
    "proportions": {"batch_size": 4, "sampler": fb.Balanced(Y % 3, proportions=[1, 2, 3], exhausted="recycle")},
    "fixed order": {"batch_size": 4, "sampler": Y[::-1]},
    "user's sampler": {"batch_size": 4, "sampler": Backwards(N)},
}


@pytest.mark.parametrize("n_drawn", [0, 1, 3])
@pytest.mark.parametrize("name", OPTIONS)
def test_a_copy_goes_on_from_the_same_place(name, n_drawn):
    options = copy.deepcopy(OPTIONS[name])
    loader = fb.Loader((X, Y), **options)
    batches = iter(loader)
    for _ in range(n_drawn):
        next(batches)
    other = copied(loader)
    assert other.state_dict() == loader.state_dict()
    assert (other.seed, other.batch_size, len(other)) == (loader.seed, 4, len(loader))
    assert_same_batches(other, batches if n_drawn else loader)
    assert_same_batches(other, loader)


@pytest.mark.parametrize(
    "data", [X, (X,), [X, Y], {"x": X, "y": Y}, Pair(X, Y), Record(X, Y)], ids=lambda data: type(data).__name__
)
def test_a_copy_keeps_the_structure(data):
    loader = fb.Loader(data, 4, shuffle=True)
    assert_same_batches(copied(loader), loader)


def test_a_copy_with_a_batch_sampler_keeps_it():
    loader = fb.Loader((X, Y), batch_sampler=[[1, 2], [3], np.arange(9)])
    assert_same_batches(copied(loader), loader)


def test_a_deep_copy_is_a_loader_of_its_own():
    loader = fb.Loader((X, Y), 4, shuffle=True)
    other = copy.deepcopy(loader)
    next(iter(other))
    assert loader.state_dict()["position"] == 0
    assert_same_batches(loader, fb.Loader((X, Y), 4, shuffle=True, seed=loader.seed))


def test_tensors_are_pickled_too():
    torch = pytest.importorskip("torch")
    loader = fb.Loader({"x": torch.from_numpy(X), "y": Y}, 4, shuffle=True)
    assert_same_batches(copied(loader), loader)
    loader = fb.Loader((X, Y), 4, output="torch")
    assert_same_batches(copied(loader), loader)


def test_samplers_are_pickled_by_themselves():
    for sampler in (
        fb.Sequential(9),
        fb.Shuffle(9),
        fb.Balanced([0, 1, 1]),
        fb.Balanced([0, 1, 1], proportions=[1, 2]),
    ):
        other = copied(sampler)
        assert (other.n, len(other), other.fingerprint) == (sampler.n, len(sampler), sampler.fingerprint)
        assert np.array_equal(other.order(1, 2), sampler.order(1, 2))


def test_a_closed_loader_comes_back_open():
    loader = fb.Loader((X, Y), 4, shuffle=True)
    next(iter(loader))
    loader.close()
    assert len(list(copied(loader))) == 7


# ---------------------------------------------------------------------------------------------------------------------
# Mapped files
# ---------------------------------------------------------------------------------------------------------------------

LARGE = 20_000


@pytest.fixture
def mapped(tmp_path):
    """A mapped file with a header, so that the map begins inside a page."""
    values = np.arange(LARGE * 4, dtype=np.float32).reshape(LARGE, 4)
    with open(tmp_path / "x.bin", "wb") as file:
        file.write(b"h" * 100)
        file.write(values.tobytes())
    return np.memmap(tmp_path / "x.bin", np.float32, "r", offset=100, shape=(LARGE, 4))


@pytest.mark.parametrize(
    "view",
    [
        lambda file: file,
        lambda file: file[17:],
        lambda file: file[::-3],
        lambda file: file[5:-5:7, 1:3],
        lambda file: np.asarray(file)[100:],
        lambda file: file.view(np.uint8)[3:, ::-1],
        lambda file: file[40:80].T[:, ::2],
        lambda file: file[::2][10:][::-1].view(np.int32),
        lambda file: np.lib.stride_tricks.sliding_window_view(file[:, 0], 50),
    ],
    ids=["whole", "from a row on", "backwards", "a part", "an ndarray", "bytes", "transposed", "chain", "windows"],
)
def test_views_of_mapped_files_are_pickled_by_reference(mapped, view):
    source = view(mapped)
    loader = fb.Loader({"x": source}, 500, shuffle=True)
    kept = pickle.dumps(loader)
    assert len(kept) < 5000
    other = pickle.loads(kept)
    assert "from a mapped file" in other.explain() or "copied once" in other.explain()
    assert_same_batches(other, loader)


def test_arrays_loaded_by_numpy_as_maps_are_pickled_by_reference(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(LARGE))
    loader = fb.Loader(np.load(tmp_path / "x.npy", mmap_mode="r"), 500)
    assert len(pickle.dumps(loader)) < 5000
    assert_same_batches(copied(loader), loader)


def test_columns_of_one_file_and_columns_in_memory_go_together(mapped):
    loader = fb.Loader((mapped[:, :3], [mapped[:, 3], Y.repeat(1000)[:LARGE]]), 500, shuffle=True)
    kept = pickle.dumps(loader)
    assert LARGE * 8 < len(kept) < LARGE * 8 + 5000
    for (x, (last, y)), (x2, (last2, y2)) in zip(pickle.loads(kept), loader, strict=True):
        assert all(np.array_equal(a, b) for a, b in ((x, x2), (last, last2), (y, y2)))


def test_changes_that_no_file_has_are_pickled_by_value(mapped):
    private = np.memmap(mapped.filename, np.float32, "c", offset=100, shape=(LARGE, 4))
    private[:] = 7
    batch = next(iter(copied(fb.Loader(private, 10))))
    assert (batch == 7).all()


def test_a_copy_of_a_map_in_memory_is_pickled_by_value(mapped):
    loader = fb.Loader(mapped[:100].copy() * 2, 10)
    assert_same_batches(copied(loader), loader)


# ---------------------------------------------------------------------------------------------------------------------
# Another process
# ---------------------------------------------------------------------------------------------------------------------


def draw_elsewhere(kept):
    return [tuple(map(np.asarray, batch)) for batch in pickle.loads(kept)]


def test_a_spawned_process_draws_the_same_batches(tmp_path):
    np.save(tmp_path / "x.npy", X)
    loader = fb.Loader((np.load(tmp_path / "x.npy", mmap_mode="r"), Y), 4, shuffle=True)
    next(iter(loader))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        elsewhere = pool.apply(draw_elsewhere, (pickle.dumps(loader),))
    assert_same_batches(elsewhere, copied(loader))
