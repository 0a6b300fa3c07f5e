"""Batches on their way to a device, and memory that torch lends: what needs no GPU. See gpu/ for what does."""

import contextlib
import ctypes
import gc
import itertools
import os
import threading
import time
import weakref

import numpy as np
import pytest

import fastbatch as fb
from fastbatch._native.shelf import Shelf
from fastbatch.delivery.destination import Destination
from programs import assert_quiet, forks_with_threads, run_program

torch = pytest.importorskip("torch")
from fastbatch.delivery.cuda import CudaCarrier  # noqa: E402

N, BATCH = 103, 8
X, Y = np.arange(N * 3.0).reshape(N, 3), np.arange(N)
CPU = torch.device("cpu")


class CopyingCarrier:
    """A carrier to memory of its own, which says what it was asked for."""

    def __init__(self):
        self.said = []
        self.n_sent = 0

    def wrap(self, wrap):
        def send(capsule):
            self.n_sent += 1
            return wrap(capsule).clone()

        return send

    def mark(self):
        return self.n_sent

    def receive(self, batch, mark):
        self.said.append((int(batch[-1][0]), mark, self.n_sent))


def empty(size, dtype):
    """Memory as torch makes it where there is no GPU."""
    return torch.empty(size, dtype=dtype)


@pytest.fixture
def loader_to(monkeypatch):
    """Loaders whose batches go to a destination that the arguments cannot ask for on this machine."""

    def loader_to(destination, data=(X, Y), batch_size=BATCH, **options):
        with monkeypatch.context() as patch:
            patch.setattr("fastbatch.loader.check_destination", lambda *arguments: destination)
            return fb.Loader(data, batch_size, **options)

    return loader_to


def lent(carrier=None):
    return Destination("torch", carrier, empty)


def values(batches):
    return [[leaf.tolist() for leaf in batch] for batch in batches]


# ---------------------------------------------------------------------------------------------------------------------
# Memory that torch lends
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("carrier", [None, "cpu"])
def test_its_batches_are_those_of_any_loader(loader_to, threads, carrier):
    carrier = CudaCarrier(CPU) if carrier else None
    options = {"shuffle": True, "seed": 3, "rows": True}
    mine = loader_to(lent(carrier), threads=threads, prefetch=3 if threads else None, **options)
    theirs = fb.Loader((X, Y), BATCH, **options)
    for _ in range(3):
        assert values(mine) == values(theirs)
    assert values([mine.batch(7, 4)]) == values([theirs.batch(7, 4)])


@pytest.mark.parametrize("threads", [0, 2])
def test_what_is_handed_out_is_torchs_own_and_nobody_else_writes_to_it(loader_to, threads):
    loader = loader_to(lent(), shuffle=True, seed=1, threads=threads, prefetch=2 if threads else None)
    held = [batch for _ in range(4) for batch in loader]
    first = held[0][0]
    assert first.untyped_storage().nbytes() == first.nbytes  # a tensor, and no view of a buffer
    for x, y in held:
        assert torch.equal(x, torch.from_numpy(X)[y])
        x.fill_(-1)
    assert sorted(torch.cat([y for _, y in held]).tolist()) == sorted(list(range(N)) * 4)


class Counted:
    """Makes blocks, and counts those that are alive."""

    def __init__(self):
        self.alive, self.most = weakref.WeakSet(), 0

    def __call__(self, size, dtype):
        block = torch.empty(size, dtype=dtype)
        self.alive.add(block)
        self.most = max(self.most, len(self.alive))
        return block


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize(
    "batch_size", [BATCH, lambda epoch, samples: 1 + samples // 7 + epoch], ids=["same", "growing"]
)
def test_a_loop_that_drops_its_batches_has_no_more_blocks_than_tickets(loader_to, threads, batch_size):
    counted = Counted()
    loader = loader_to(Destination("torch", None, counted), batch_size=batch_size, threads=threads, prefetch=3)
    for _ in range(10):
        for batch in loader:
            del batch
    n_ahead = 3 if threads else 0
    assert counted.most <= 2 * (n_ahead + 4)  # of two columns: ready or filled; handed over and its successor
    del loader
    gc.collect()
    assert not counted.alive


def test_blocks_follow_the_size_of_the_batches(loader_to):
    sizes = [8, 8, 3, 40, 1, 20]
    boundaries = dict(zip(itertools.accumulate([0, *sizes]), sizes, strict=False))
    for threads in (0, 2):
        loader = loader_to(lent(), batch_size=lambda epoch, samples: boundaries.get(samples, 50), threads=threads)
        for _ in range(2):
            batches = list(loader)
            assert [len(y) for _, y in batches] == [*sizes, 23]
            assert torch.cat([y for _, y in batches]).tolist() == list(range(N))


def test_rows_without_bytes_and_every_dtype(loader_to):
    data = {
        "nothing": np.zeros((N, 0)),
        "bool": Y % 2 == 0,
        "half": X.astype("f2"),
        "bfloat16": torch.from_numpy(X).to(torch.bfloat16),
        "complex": X[:, 0] * 1j,
    }
    loader = loader_to(lent(), data)
    (batch,) = itertools.islice(loader, 1)
    assert batch["nothing"].shape == (BATCH, 0)
    for name, column in data.items():
        assert torch.equal(batch[name], torch.as_tensor(column)[:BATCH]), name


@pytest.mark.parametrize("threads", [0, 2])
def test_where_there_is_no_memory_the_batch_comes_later(loader_to, threads):
    """Also from threads that found none: no row is lost, and no block."""
    refused = itertools.cycle([False, False, True, False, True, True, False])

    def refusing(size, dtype):
        if next(refused):
            raise MemoryError
        return torch.empty(size, dtype=dtype)

    loader = loader_to(Destination("torch", None, refusing), threads=threads, prefetch=2 if threads else None)
    iterator, got, n_refused = iter(loader), [], 0
    while True:
        try:
            got.append(next(iterator))
        except MemoryError:
            n_refused += 1
        except StopIteration:
            break
    assert n_refused > 5
    assert torch.cat([y for _, y in got]).tolist() == list(range(N))
    assert all(torch.equal(x, torch.from_numpy(X)[y]) for x, y in got)


def test_a_shelf_lends_what_suffices_and_forgets_what_was_recalled():
    shelf = Shelf()
    memory = np.zeros(4096, np.uint8)
    base = -(-memory.ctypes.data // 64) * 64
    with pytest.raises(ValueError, match="aligned to 64 bytes"):
        shelf.lend(base + 8, 64)
    with pytest.raises(ValueError, match="aligned to 64 bytes"):
        shelf.lend(0, 64)
    allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(shelf.allocator[0])
    free = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(shelf.allocator[1])
    context = shelf.allocator[2]
    shelf.lend(base, 256)
    shelf.lend(base + 256, 64)
    assert allocate(context, 65) == base
    assert allocate(context, 65) is None
    assert allocate(context, 30) == base + 256
    assert allocate(context, 30) is None
    assert shelf.take_wanted() == 65
    assert shelf.take_wanted() == 0
    assert shelf.clear() == []
    shelf.recall(base)
    free(context, base, 256)
    free(context, base + 256, 64)
    assert allocate(context, 65) is None  # it was recalled
    assert shelf.clear() == [base + 256]
    shelf.lend(base, 128)
    taken = allocate(context, 128)
    del shelf  # it lives on until what was taken is back
    free(context, taken, 128)


# ---------------------------------------------------------------------------------------------------------------------
# On the way to a device
# ---------------------------------------------------------------------------------------------------------------------


def test_two_batches_are_on_their_way_and_each_is_waited_for_by_its_own_mark(loader_to):
    carrier = CopyingCarrier()
    loader = loader_to(Destination("torch", carrier), drop_last=True)
    n = N // BATCH
    for i, (_, y) in enumerate(loader):
        assert y[0] == i * BATCH
        n_sent = min(i + 3, n)
        # The mark stands behind the two leaves of this batch, and before those of the next.
        assert carrier.said[i:] == [(i * BATCH, 2 * (i + 1), 2 * n_sent)]
    assert carrier.n_sent == 2 * n


def test_batch_by_number_is_received_at_once(loader_to):
    carrier = CopyingCarrier()
    loader = loader_to(Destination("torch", carrier))
    assert loader.batch(0, 5)[1][0] == 40
    assert carrier.said == [(40, 2, 2)]


@pytest.mark.parametrize("map_threads", [0, 2])
def test_map_has_the_batch_where_it_was_sent(loader_to, map_threads):
    carrier = CopyingCarrier()

    def function(batch):
        received = [first for first, _, _ in carrier.said]
        return int(batch[1][0]), int(batch[1][0]) in received

    loader = loader_to(Destination("torch", carrier), map=function, map_threads=map_threads)
    for _ in range(2):
        assert list(loader) == [(first, True) for first in range(0, N, BATCH)]
        carrier.said.clear()


def test_the_time_of_map_is_not_waited_for(loader_to):
    spent = []

    def function(batch):
        began = time.perf_counter()
        while time.perf_counter() - began < 5e-3:
            pass
        spent.append(time.perf_counter() - began)

    loader = loader_to(Destination("torch", CopyingCarrier()), map=function)
    list(loader)
    stats = loader.stats()
    assert stats.wait_seconds < sum(spent) / 2
    assert stats.wait_share < 0.5
    assert stats.ready_share > 0.9


@pytest.mark.parametrize("threads", [0, 2])
def test_what_is_on_its_way_does_not_count_as_delivered(loader_to, threads):
    def make():
        return loader_to(Destination("torch", CopyingCarrier()), shuffle=True, seed=5, threads=threads)

    whole = values(make())
    loader = make()
    iterator = iter(loader)
    for i in range(1, 6):
        next(iterator)
        assert loader.state_dict()["position"] == i * BATCH
        again = make()
        again.load_state_dict(loader.state_dict())
        assert values(again) == whole[i:]
    del iterator  # two on their way are dropped
    resumed = make()
    resumed.load_state_dict(loader.state_dict())
    assert values(resumed) == whole[5:]
    assert loader.remaining == len(whole) - 5
    assert loader.stats().batches >= 5


def test_an_error_comes_at_the_batch_that_it_belongs_to(loader_to):
    rows = [*range(40), N, *range(40)]
    loader = loader_to(Destination("torch", CopyingCarrier()), sampler=iter(rows))
    iterator = iter(loader)
    assert [y[0].item() for _, y in itertools.islice(iterator, 5)] == [0, 8, 16, 24, 32]
    with pytest.raises(IndexError, match="row 103"):
        next(iterator)
    assert next(iterator, "end") == "end"


def test_an_error_on_the_way_loses_no_row(loader_to):
    class Failing(CopyingCarrier):
        def wrap(self, wrap):
            send = super().wrap(wrap)

            def failing(capsule):
                if self.n_sent == 9:
                    self.n_sent += 1
                    raise MemoryError("the device is full")
                return send(capsule)

            return failing

    loader = loader_to(Destination("torch", Failing()))
    iterator = iter(loader)
    got = list(itertools.islice(iterator, 4))
    with pytest.raises(MemoryError, match="the device is full"):
        next(iterator)
    got += iterator
    assert torch.cat([y for _, y in got]).tolist() == list(range(N))


def test_a_closed_loader_hands_out_nothing_that_was_on_its_way(loader_to):
    loader = loader_to(Destination("torch", CopyingCarrier()))
    iterator = iter(loader)
    next(iterator)
    loader.close()
    with pytest.raises(RuntimeError, match="closed"):
        next(iterator)


def test_a_batch_size_that_is_set_comes_behind_what_is_on_its_way(loader_to):
    loader = loader_to(Destination("torch", CopyingCarrier()), threads=2)
    sizes = []
    for _, y in loader:
        sizes.append(len(y))
        loader.batch_size = 16
    assert sizes == [8, 8, 8, 16, 16, 16, 16, 15]


def test_a_sampler_that_follows_updates_is_asked_for_each_batch_in_turn(loader_to):
    weights = np.ones(N)
    sampler = fb.Prioritized(weights, num_samples=10 * BATCH)
    loader = loader_to(Destination("torch", CopyingCarrier()), sampler=sampler, rows=True, seed=1)
    seen = []
    for _, _, rows, _ in loader:
        seen.append(set(rows.tolist()))
        sampler.update(np.arange(N), (np.arange(N) == len(seen)).astype(float))  # from the next batch on, one row
    assert seen[1:] == [{i} for i in range(1, 10)]


def test_threads_share_an_iterator(loader_to):
    loader = loader_to(Destination("torch", CopyingCarrier()), batch_size=1, threads=2)
    shared, got = iter(loader), []
    threads = [threading.Thread(target=lambda: got.extend(int(y[0]) for _, y in shared)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(N))


FORK = """
import os, sys
import numpy as np, torch
sys.path.append({tests!r})
import fastbatch as fb
import fastbatch.loader
from fastbatch.delivery.destination import Destination
from test_destinations import CopyingCarrier, empty

fastbatch.loader.check_destination = lambda *arguments: Destination("torch", CopyingCarrier(), empty)
loader = fb.Loader((np.arange(50), np.arange(50)), 5, threads=2)
iterator = iter(loader)
next(iterator)
child = os.fork()
if child == 0:
    try:
        next(iterator)
        os._exit(1)
    except RuntimeError as error:
        assert "forked" in str(error)
    os._exit(0 if torch.cat([y for _, y in loader]).tolist() == list(range(5, 50)) else 2)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert torch.cat([y for _, y in iterator]).tolist() == list(range(5, 50))
"""


@forks_with_threads
def test_a_forked_child_has_blocks_of_its_own():
    assert_quiet(run_program(FORK.format(tests=os.path.dirname(__file__))))


# ---------------------------------------------------------------------------------------------------------------------
# The arguments
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", [None, "cpu", CPU])
def test_the_cpu_is_no_device_to_copy_to(device):
    loader = fb.Loader((torch.from_numpy(X), Y), BATCH, device=device)
    x, y = next(iter(loader))
    assert torch.is_tensor(x)
    assert torch.is_tensor(y) == (device is not None)
    assert "handed over in" not in loader.explain()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_pin_memory_without_cuda_warns_once_and_gives_ordinary_tensors():
    with pytest.warns(UserWarning, match="pin_memory=True has no effect") as warned:
        loader = fb.Loader((X, Y), BATCH, pin_memory=True)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert all(torch.is_tensor(leaf) for batch in loader for leaf in batch)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"device": "mps"}, ValueError, "device must be a CUDA device of torch, got 'mps'"),
        ({"device": "gpu"}, ValueError, "device must be a CUDA device of torch, got 'gpu'"),
        ({"device": 1.5}, TypeError, "device must be a CUDA device of torch, got 1.5"),
        ({"device": "cuda", "output": "numpy"}, ValueError, "output='numpy' excludes device='cuda'"),
        ({"pin_memory": True, "output": "numpy"}, ValueError, "output='numpy' excludes device=None and pin_memory=T"),
        ({"pin_memory": True, "output": "jax"}, ValueError, "pin_memory=True is for torch, and output is 'jax'"),
        ({"pin_memory": "yes"}, TypeError, "pin_memory must be True, False or None, got 'yes'"),
        ({"device": "cpu", "output": "tf"}, ValueError, "output='tf' excludes device='cpu'"),
    ],
)
def test_what_is_refused(options, error, said):
    with pytest.raises(error, match=said):
        fb.Loader((X, Y), BATCH, **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:3", torch.device("cuda")])
def test_a_device_that_is_not_there_is_an_error(device):
    with pytest.raises(RuntimeError, match=r"needs a CUDA device, and torch .* finds none"):
        fb.Loader((X, Y), BATCH, device=device)


def test_explain_says_where_batches_go(loader_to):
    assert "handed over in cpu, copied from pinned memory" in loader_to(lent(CudaCarrier(CPU))).explain()
    assert "handed over in pinned memory" in loader_to(lent()).explain()


def test_another_dtype_than_torch_has_is_refused_when_the_loader_is_made():
    with contextlib.suppress(UserWarning), pytest.raises(TypeError, match="torch has no dtype for >f8"):
        fb.Loader(X.astype(">f8"), BATCH, device="cpu")
