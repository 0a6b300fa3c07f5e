"""Batches on their way to a device, and memory that torch lends: what needs no GPU. See gpu/ for what does."""

import collections
import dataclasses
import functools
import itertools
import math
import os
import threading
import time
import weakref

import numpy as np
import pytest

import fastbatch as fb
from fastbatch.delivery.destination import Destination
from programs import assert_quiet, forks_with_threads, run_program
from threads import run_threads

torch = pytest.importorskip("torch")
from fastbatch.delivery import pinned  # noqa: E402
from fastbatch.delivery.cuda import CudaCarrier, tensors_in  # noqa: E402

N, BATCH = 103, 8
X, Y = np.arange(N * 3.0).reshape(N, 3), np.arange(N)
CPU = torch.device("cpu")
Pair = collections.namedtuple("Pair", ["x", "y"])


@dataclasses.dataclass
class Row:
    x: object


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
        if mark != "called":
            self.said.append((int(batch[-1][0]), mark, self.n_sent))

    def call(self, function, batch):
        return function(batch), "called"


# Memory as torch makes it where there is no GPU.
empty = functools.partial(pinned.empty, pin_memory=False)


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
    """Makes blocks, and counts those whose memory is alive; `offset` bytes from where they should begin."""

    def __init__(self, offset=0):
        self.n_alive, self.most, self.offset = 0, 0, offset

    def __call__(self, size, dtype):
        nbytes = math.prod(size) * dtype.itemsize
        memory = np.zeros(nbytes + 128, np.uint8)
        weakref.finalize(memory, self.forget)
        self.n_alive += 1
        self.most = max(self.most, self.n_alive)
        first = -memory.ctypes.data % 64 + self.offset
        return torch.from_numpy(memory)[first : first + nbytes].view(dtype).view(size)

    def forget(self):
        self.n_alive -= 1


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
    loader.close()
    assert counted.n_alive == 0


def test_a_closed_loader_gives_back_what_nobody_uses(loader_to):
    counted = Counted()
    loader = loader_to(Destination("torch", None, counted), threads=2, prefetch=3)
    iterator = iter(loader)
    x, y = next(iterator)
    del iterator
    loader.close()
    assert counted.n_alive == 2
    assert torch.equal(x, torch.from_numpy(X)[y])
    del x
    assert counted.n_alive == 1


@pytest.mark.parametrize("offset", [16, 8])
def test_memory_that_begins_anywhere_is_used_from_a_cache_line_on(loader_to, offset):
    loader = loader_to(Destination("torch", None, Counted(offset)), {"x": X, "half": X.astype("f2")}, drop_last=True)
    for first, batch in enumerate(loader):
        rows = slice(first * BATCH, (first + 1) * BATCH)
        assert batch["x"].data_ptr() % 64 == batch["half"].data_ptr() % 64 == 0
        assert torch.equal(batch["x"], torch.from_numpy(X)[rows])
        assert torch.equal(batch["half"], torch.from_numpy(X).half()[rows])


@pytest.mark.parametrize("carrier", [None, "cpu"])
def test_batches_are_ordinary_tensors_whatever_mode_they_are_made_in(loader_to, carrier):
    loader = loader_to(lent(CudaCarrier(CPU) if carrier else None), threads=0)
    with torch.inference_mode():
        held = list(itertools.islice(loader, 3))
    held += loader
    assert not any(leaf.is_inference() for batch in held for leaf in batch)


def test_the_default_device_is_not_where_they_are_made(loader_to):
    loader = loader_to(lent())
    with torch.device("meta"):
        held = list(loader)
    assert torch.cat([y for _, y in held]).tolist() == list(range(N))


def test_what_torch_says_when_there_is_no_memory_is_a_memory_error():
    with pytest.raises(MemoryError, match="no memory for a tensor of shape"):
        pinned.empty((2**60,), torch.uint8, pin_memory=False)


def test_threads_that_find_no_block_at_once_have_one_in_the_end(loader_to):
    def slow(size, dtype):
        for _ in range(20):
            os.sched_yield()
            time.sleep(0)  # gives the GIL up, as whoever pins memory does
        return torch.empty(size, dtype=dtype)

    for _ in range(20):
        loader = loader_to(Destination("torch", None, slow), batch_size=4, threads=0)
        shared, got = iter(loader), []
        run_threads(*[lambda shared=shared, got=got: got.extend(y for _, y in shared)] * 6)
        assert sorted(torch.cat(got).tolist()) == list(range(N))


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
    assert stats.wait_seconds < 0.8 * sum(spent)
    assert stats.wait_share < 0.8
    assert stats.ready_share > 0.9


def test_what_map_threads_make_is_received_by_whoever_iterates(loader_to):
    class Watched(CopyingCarrier):
        def receive(self, batch, mark):
            self.said.append((threading.current_thread() is threading.main_thread(), mark == "called"))

        def call(self, function, batch):
            assert threading.current_thread() is not threading.main_thread()
            return super().call(function, batch)

    carrier = Watched()
    loader = loader_to(
        Destination("torch", carrier), map=lambda batch: {"y": batch[1], "name": "no tensor"}, map_threads=2
    )
    assert torch.cat([batch["y"] for batch in loader]).tolist() == list(range(N))
    n = -(-N // BATCH)
    assert sorted(carrier.said) == [(False, False)] * n + [(True, True)] * n


def test_tensors_are_found_in_whatever_a_function_makes():
    one, two, three, four = (torch.tensor(i) for i in range(4))
    tree = {"x": one, "more": [two, ("text", 3, None)], "pair": Pair(three, Row(four))}
    assert [int(tensor) for tensor in tensors_in(tree)] == [0, 1, 2, 3]


def test_an_error_of_the_device_is_not_laid_to_map(loader_to):
    class Failing(CopyingCarrier):
        def receive(self, batch, mark):
            raise RuntimeError("the device is lost")

    with pytest.raises(RuntimeError, match="the device is lost") as raised:
        next(iter(loader_to(Destination("torch", Failing()))))
    assert not hasattr(raised.value, "__notes__")
    with pytest.raises(RuntimeError, match="the device is lost") as raised:
        next(iter(loader_to(Destination("torch", Failing()), map=lambda batch: batch)))
    assert raised.value.__notes__ == ["raised by map at batch 0 of epoch 0 (its rows 0 to 8)"]


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
    run_threads(*[lambda: got.extend(int(y[0]) for _, y in shared)] * 4)
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
        (
            {"device": "gpu"},
            ValueError,
            "device must be a CUDA device of torch, got 'gpu'; one of JAX's needs output='jax'",
        ),
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
@pytest.mark.parametrize("device", ["cuda", "cuda:3", 0, torch.device("cuda")])
def test_a_device_that_is_not_there_is_an_error(device):
    with pytest.raises(RuntimeError, match=r"needs a CUDA device, and torch .* finds none"):
        fb.Loader((X, Y), BATCH, device=device)


def test_explain_says_where_batches_go(loader_to):
    assert "handed over on cpu, copied from pinned memory" in loader_to(lent(CudaCarrier(CPU))).explain()
    assert "handed over in pinned memory" in loader_to(lent()).explain()


def test_another_dtype_than_torch_has_is_refused_when_the_loader_is_made():
    with pytest.raises(TypeError, match="torch has no dtype for >f8"):
        fb.Loader(X.astype(">f8"), BATCH, device="cpu")
