"""A batch belongs to whoever holds it: held ones never change, dropped ones are used again, memory comes back."""

import gc
import threading
import weakref

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import fastbatch as fb

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="torch is not installed")

N = 64
X, Y = np.arange(N * 5.0).reshape(N, 5), np.arange(N)
X.flags.writeable = Y.flags.writeable = False


def live(loader):
    """Buffers alive now, for each column."""
    return [alive for alive, _ in loader._epochs.engine.buffers()]


def made(loader):
    """Buffers ever made, for each column."""
    return [allocated for _, allocated in loader._epochs.engine.buffers()]


# ---------------------------------------------------------------------------------------------------------------------
# Held batches never change
# ---------------------------------------------------------------------------------------------------------------------

VIEWS = [
    lambda array: array,
    lambda array: array[::2],
    lambda array: array[-1:],
    lambda array: array.reshape(-1)[::-1],
    lambda array: array.view(np.uint8),
    lambda array: array.T,
    lambda array: np.frombuffer(memoryview(array.reshape(-1)), array.dtype),
    lambda array: np.asarray(array)[None],
]
if torch is not None:
    VIEWS += [
        lambda array: torch.from_numpy(array),
        lambda array: torch.from_dlpack(array)[1:],
        lambda array: torch.as_tensor(array).reshape(-1).numpy(),
    ]


class HeldBatches(RuleBasedStateMachine):
    """Batches, views and views of views are held and dropped in any order while others are made."""

    def __init__(self):
        super().__init__()
        self.loaders = [
            fb.Loader((X, Y), 7, shuffle=True, seed=1),
            fb.Loader({"y": Y, "x": X}, 3, output=None if torch is None else "torch"),
        ]
        self.iterators = [iter(loader) for loader in self.loaders]
        self.held = []

    def hold(self, array):
        self.held.append((array, np.asarray(array).copy()))

    @rule(which=st.integers(0, 1), writes=st.booleans())
    def draw(self, which, writes):
        batch = next(self.iterators[which], None)
        if batch is None:
            self.iterators[which] = iter(self.loaders[which])
            return
        for array in batch.values() if isinstance(batch, dict) else batch:
            if writes:
                array += 1000
            self.hold(array)

    @rule(which=st.integers(0, 10**6), view=st.sampled_from(VIEWS))
    def view(self, which, view):
        if self.held and isinstance(self.held[which % len(self.held)][0], np.ndarray):
            array = self.held[which % len(self.held)][0]
            if array.flags.c_contiguous and array.size:
                self.hold(view(array))

    @rule(which=st.integers(0, 10**6), n=st.integers(1, 5))
    def drop(self, which, n):
        for _ in range(min(n, len(self.held))):
            self.held.pop(which % len(self.held))

    @rule()
    def drop_all(self):
        self.held.clear()

    @rule(which=st.integers(0, 1))
    def close(self, which):
        self.loaders[which].close()
        self.loaders[which] = fb.Loader((X, Y), 5, shuffle=True)
        self.iterators[which] = iter(self.loaders[which])

    @invariant()
    def nothing_held_has_changed(self):
        for array, expected in self.held:
            assert np.array_equal(np.asarray(array), expected)


TestHeldBatches = HeldBatches.TestCase
TestHeldBatches.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def test_a_list_of_a_whole_epoch_is_right_and_gives_its_memory_back():
    loader = fb.Loader((X, Y), 1, shuffle=True, seed=0)
    batches = list(loader)
    assert live(loader) == [N, N]
    order = fb.Shuffle(N).order(0, 0)
    assert np.array_equal(np.concatenate([y for _, y in batches]), order)
    assert np.array_equal(np.concatenate([x for x, _ in batches]), X[order])
    del batches
    assert max(live(loader)) <= 16


@pytest.mark.parametrize("output", ["numpy", pytest.param("torch", marks=needs_torch)])
def test_a_batch_is_writable_and_writing_it_changes_nothing_else(output):
    loader = fb.Loader((X, Y), 8, output=output)
    batches = list(loader)
    for x, y in batches:
        x[:] = -1
        y[:] = -1
        del x, y
    del batches
    for i, (x, y) in enumerate(loader):
        assert np.array_equal(np.asarray(x), np.arange(N * 5.0).reshape(N, 5)[8 * i : 8 * i + 8])
        assert np.array_equal(np.asarray(y), np.arange(N)[8 * i : 8 * i + 8])


# ---------------------------------------------------------------------------------------------------------------------
# Dropped ones are used again
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["numpy", pytest.param("torch", marks=needs_torch)])
@pytest.mark.parametrize("n_held", [1, 2, 5])
def test_a_steady_loop_allocates_nothing(output, n_held):
    loader = fb.Loader((X, Y), 4, shuffle=True, output=output, threads=0)
    held = []
    for epoch in range(30):
        for batch in loader:
            held = [*held, batch][-n_held:]
        if epoch == 0:
            begun = made(loader)
    assert made(loader) == begun
    assert max(begun) <= n_held + 2


def test_sizes_that_vary_settle():
    sizes = [np.arange(size) for size in (3, 9, 1, 30, 2, 30, 7)]
    loader = fb.Loader((X, Y), batch_sampler=sizes)
    for epoch in range(20):
        assert [len(y) for _, y in loader] == [3, 9, 1, 30, 2, 30, 7]
        if epoch == 1:
            begun = made(loader)
    assert made(loader) == begun


def test_keeping_all_labels_keeps_no_features():
    loader = fb.Loader((X, Y), 2)
    labels = [y for _, y in loader]
    features_live, labels_live = live(loader)
    assert labels_live == len(labels) == 32
    assert features_live <= 4
    assert np.array_equal(np.concatenate(labels), Y)


def test_one_row_of_a_batch_keeps_its_buffer_and_its_end_frees_it():
    loader = fb.Loader(X, 16)
    rows = [batch[3, 1:2] for batch in loader]
    assert live(loader) == [4]
    for batch in loader:
        batch[:] = 0
    del batch
    assert [row[0] for row in rows] == [X[16 * i + 3, 1] for i in range(4)]
    n_made = made(loader)
    del rows
    for batch in loader:
        assert batch.any()
    assert made(loader) == n_made


# ---------------------------------------------------------------------------------------------------------------------
# Releases from elsewhere
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["numpy", pytest.param("torch", marks=needs_torch)])
def test_other_threads_may_drop_batches_while_this_one_makes_them(output):
    loader = fb.Loader((X, Y), 4, shuffle=True, seed=3, output=output)
    boxes = [[] for _ in range(3)]
    over = threading.Event()
    wrong = []

    def drop(box):
        while not over.is_set() or box:
            if box:
                (x, y), rows = box.pop()
                if not (np.array_equal(np.asarray(y), rows) and np.array_equal(np.asarray(x), X[rows])):
                    wrong.append(rows)

    threads = [threading.Thread(target=drop, args=(box,)) for box in boxes]
    for thread in threads:
        thread.start()
    try:
        for epoch in range(60):
            order = fb.Shuffle(N).order(3, epoch)
            for i, batch in enumerate(loader):
                boxes[i % 3].append((batch, order[4 * i : 4 * i + 4]))
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not wrong
    del batch
    assert max(live(loader)) <= 16


@pytest.mark.parametrize("output", ["numpy", pytest.param("torch", marks=needs_torch)])
def test_batches_outlive_the_loader_in_any_order(output):
    for order in (range(16), range(15, -1, -1), np.random.default_rng(0).permutation(16)):
        loader = fb.Loader((X, Y), 4, output=output)
        held = dict(enumerate(loader))
        loader.close()
        del loader
        gc.collect()
        for i in order:
            for j, (x, y) in held.items():
                assert np.array_equal(np.asarray(y), Y[4 * j : 4 * j + 4])
                assert np.array_equal(np.asarray(x), X[4 * j : 4 * j + 4])
            del held[i], x, y


def test_a_loader_and_its_data_go_with_the_last_reference_without_a_collection():
    data = X.copy()
    loader = fb.Loader(data, 4, shuffle=True)
    loader.batch(0, 0)
    for _ in range(2):
        for _ in loader:
            pass
    next(iter(loader))
    gone = weakref.ref(loader), weakref.ref(data)
    gc.disable()
    try:
        del loader, data
        assert [reference() for reference in gone] == [None, None]
    finally:
        gc.enable()
