"""Batches on a CUDA device: values, the order against streams, memory that copies are under way from and to."""

import itertools

import numpy as np
import pytest

import fastbatch as fb

pytestmark = pytest.mark.gpu

torch = pytest.importorskip("torch")

N, BATCH = 4_096, 256
X = np.arange(N, dtype=np.float32)[:, None] + np.zeros(1024, np.float32)  # 1 MB a batch
Y = np.arange(N)

SIZES = (((BATCH, 1024), torch.float32), ((BATCH,), torch.int64))

# Cycles of the device: some tens of milliseconds, in which the CPU is done with everything in these tests.
LONG = 50_000_000


def loader(**options):
    return fb.Loader((X, Y), BATCH, **{"shuffle": True, "seed": 3, "device": "cuda", **options})


def copied(x, y):
    """What a batch says of its rows, for when the device has come to it. One by one, so that nobody waits for it."""
    return x[:, 0].clone(), x[:, -1].clone(), y.clone()


def assert_in_order(copies, first=0, n_epochs=1):
    """Copies of batches hold the rows that the Loader's order has there, and no other batch's."""
    torch.cuda.synchronize()
    order = np.concatenate([fb.Shuffle(N).order(3, epoch) for epoch in range(n_epochs)])
    for i, copy in enumerate(copies, first):
        rows = torch.from_numpy(order[i * BATCH : (i + 1) * BATCH])
        assert all(torch.equal(column.cpu().long(), rows) for column in copy), f"batch {i}"


@pytest.fixture(autouse=True)
def fresh_memory():
    """Memory that nothing was written to must not look like a batch of the test before."""
    torch.cuda.empty_cache()


@pytest.fixture
def stall():
    """Keeps a stream from going on for a while."""

    def stall(stream):
        with torch.cuda.stream(stream):
            torch.cuda._sleep(LONG)

    yield stall
    torch.cuda.synchronize()


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("pin_memory", [None, False])
def test_its_batches_are_those_of_a_loader_on_the_cpu(threads, pin_memory):
    mine = loader(threads=threads, pin_memory=pin_memory, rows=True)
    theirs = loader(device="cpu", rows=True)
    for _ in range(2):
        for there, here in zip(mine, theirs, strict=True):
            assert all(leaf.device == torch.device("cuda", torch.cuda.current_device()) for leaf in there)
            assert all(torch.equal(a.cpu(), b) for a, b in zip(there, here, strict=True))
    assert all(torch.equal(a.cpu(), b) for a, b in zip(mine.batch(5, 3), theirs.batch(5, 3), strict=True))


@pytest.mark.parametrize("threads", [0, 2])
def test_no_slot_is_filled_while_it_is_copied_from(threads, stall):
    mine = loader(threads=threads)
    iterator = iter(mine)
    next(iterator)  # the stream of the copies is there
    stall(mine._destination.carrier._stream)  # the copies that begin now end after the CPU has filled every slot again
    assert_in_order([copied(x, y) for x, y in itertools.islice(iterator, 12)], first=1)


def test_nobody_waits_for_a_copy_but_the_stream_that_uses_it(stall):
    # Blocks of pinned memory that torch has in hand: to pin more may wait for the device.
    in_hand = [torch.empty(size, dtype=dtype, pin_memory=True) for size, dtype in SIZES for _ in range(24)]
    del in_hand
    mine = loader()
    iterator = iter(mine)
    next(iterator)
    copying = mine._destination.carrier._stream
    for _ in range(10):  # a quarter of a second at least
        stall(copying)
    batches = list(itertools.islice(iterator, 4))
    assert not copying.query(), "the CPU waited for the copies, or they took no time"
    assert_in_order([copied(x, y) for x, y in batches], first=1)


def test_memory_of_a_batch_is_used_again_when_its_user_is_done(stall):
    side, mine, copies = torch.cuda.Stream(), loader(), []
    with torch.cuda.stream(side):
        for x, y in itertools.chain.from_iterable(mine for _ in range(3)):
            torch.cuda._sleep(LONG // 20)  # the batch is dropped long before the device comes to it
            copies.append(copied(x, y))
            del x, y
    assert_in_order(copies, n_epochs=3)


@pytest.mark.parametrize("threads", [0, 2])
def test_pinned_batches_stay_as_they_are_until_a_users_copy_has_ended(threads, stall):
    mine = loader(device=None, pin_memory=True, threads=threads)
    side, copies = torch.cuda.Stream(), []
    stall(side)
    with torch.cuda.stream(side):
        for x, y in mine:
            assert x.is_pinned()
            assert y.is_pinned()
            copies.append(copied(x.to("cuda", non_blocking=True), y.to("cuda", non_blocking=True)))
            del x, y
    assert_in_order(copies)


@pytest.mark.parametrize("map_threads", [0, 2])
def test_map_has_the_batch_on_the_device(map_threads):
    def function(batch):
        assert all(leaf.device.type == "cuda" for leaf in batch)
        torch.cuda._sleep(LONG // 20)
        return {"copy": copied(*batch), "name": "with what is no tensor"}

    side, copies = torch.cuda.Stream(), []
    with torch.cuda.stream(side):  # threads have streams of their own: what they began is waited for
        for batch in loader(map=function, map_threads=map_threads):
            copies.append(tuple(column.clone() for column in batch["copy"]))
            del batch
    assert_in_order(copies)


def test_what_is_on_its_way_is_not_delivered():
    mine = loader()
    first = [y.tolist() for _, y in itertools.islice(mine, 5)]
    again = loader()
    again.load_state_dict(mine.state_dict())
    rest = [y.tolist() for _, y in again]
    assert sorted(itertools.chain(*first, *rest)) == list(range(N))


def test_a_device_that_is_not_there_is_an_error():
    with pytest.raises(RuntimeError, match="is not there: torch finds"):
        loader(device=f"cuda:{torch.cuda.device_count()}")


def test_the_device_is_the_one_that_is_current_at_the_first_batch():
    last = torch.cuda.device_count() - 1
    mine = loader()
    with torch.cuda.device(last):
        x, _ = next(iter(mine))
    assert x.device.index == last
    assert f"handed over on cuda:{last}, copied from pinned memory" in mine.explain()


@pytest.mark.parametrize("options", [{}, {"length": 40}, {"layout": "packed"}], ids=str)
@pytest.mark.parametrize("pin_memory", [True, False])
def test_rows_of_different_lengths_arrive_as_they_are_on_the_cpu(options, pin_memory):
    offsets = np.concatenate([[0], np.cumsum(np.arange(N) % 50 + 1)])
    ragged = fb.Ragged(np.arange(offsets[-1], dtype=np.int32), offsets, **options)
    data = {"x": ragged, "y": Y}
    there = fb.Loader(data, BATCH, shuffle=True, seed=3, device="cuda", pin_memory=pin_memory)
    here = fb.Loader(data, BATCH, shuffle=True, seed=3, output="torch")
    for mine, theirs in zip(there, here, strict=True):
        for left, right in zip((*mine["x"], mine["y"]), (*theirs["x"], theirs["y"]), strict=True):
            assert left.is_cuda
            assert torch.equal(left.cpu(), right)
