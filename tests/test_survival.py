"""Iterators that are left or dropped, and Loaders that are dropped or closed: nothing hangs, nothing leaks."""

import gc
import itertools
import os
import sys
import threading
import time
import weakref

import numpy as np
import pytest

import fastbatch as fb
from programs import assert_quiet, run_program
from stalls import StallingArray
from threads import run_threads

THREADS = pytest.mark.parametrize("threads", [0, 1, 4])
# Rows of a few bytes, and rows that make batches too large to be filled under the GIL.
WIDTHS = pytest.mark.parametrize("width", [2, 9000], ids=["small", "large"])

N, BATCH = 61, 8  # a short last batch
LAST = N // BATCH


def make_source(width, n=N):
    return np.arange(n, dtype=np.float32)[:, None] + np.zeros(width, np.float32)


SOURCES = {width: make_source(width) for width in (2, 9000)}


def make(threads, width=2, **options):
    return fb.Loader(SOURCES[width], BATCH, shuffle=True, seed=3, rows=True, threads=threads, **options)


def order_of(epoch):
    return fb.Shuffle(N).order(3, epoch)


def assert_rows(batches, expected):
    """The batches hold exactly these rows, in this order."""
    batches = list(batches)
    rows = np.concatenate([rows for _, rows in batches]) if batches else np.empty(0, np.int64)
    assert np.array_equal(rows, expected)
    for values, rows in batches:
        assert np.array_equal(values, np.broadcast_to(rows.astype(np.float32)[:, None], values.shape))


def n_threads_of_process():
    return len(os.listdir("/proc/self/task"))


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="this system does not list threads")


def assert_threads_end(n):
    """At most n threads are left; one that was joined may be listed for a moment."""
    deadline = time.monotonic() + 20
    while n_threads_of_process() > n:
        assert time.monotonic() < deadline, "threads are left"
        time.sleep(0.001)


# ---------------------------------------------------------------------------------------------------------------------
# Left early
# ---------------------------------------------------------------------------------------------------------------------


@THREADS
@WIDTHS
@pytest.mark.parametrize("held", [False, True], ids=["dropped", "held"])
@pytest.mark.parametrize("stop", [0, 1, LAST])
def test_after_a_break_the_next_iterator_is_the_next_epoch(threads, width, held, stop):
    loader = make(threads, width, prefetch=3)
    left = []
    for epoch in range(3):
        iterator = iter(loader)
        for i, batch in enumerate(iterator):
            assert_rows([batch], order_of(2 * epoch)[BATCH * i : BATCH * (i + 1)])
            if i == stop:
                break
        assert loader.state_dict()["position"] == min(N, BATCH * (stop + 1))
        if held:
            left.append(iterator)
        del iterator
        assert_rows(loader, order_of(2 * epoch + 1))
    for epoch, iterator in enumerate(left):
        assert_rows(iterator, order_of(2 * epoch)[BATCH * (stop + 1) :])


@THREADS
@WIDTHS
@pytest.mark.parametrize("stop", [0, 1, LAST])
def test_an_exception_in_the_loop_leaves_the_loader_at_the_batch_that_was_delivered(threads, width, stop):
    loader = make(threads, width)

    def loop():
        for i, _ in enumerate(loader):
            if i == stop:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop()
    state = loader.state_dict()
    assert_rows(loader, order_of(1))
    loader.load_state_dict(state)
    assert_rows(loader, order_of(0)[BATCH * (stop + 1) :])


@THREADS
@pytest.mark.parametrize("map_threads", [0, 2])
@pytest.mark.parametrize("stop", [0, 1, LAST])
def test_an_exception_in_map_comes_at_its_batch_and_loses_no_row(threads, map_threads, stop):
    wrong = order_of(0)[BATCH * stop]

    def check(batch):
        if loader.epoch == 0 and batch[1][0] == wrong and breaks:
            raise ZeroDivisionError("mine")
        return batch

    breaks = True
    loader = make(threads, map=check, map_threads=map_threads)
    iterator = iter(loader)
    assert_rows(itertools.islice(iterator, stop), order_of(0)[: BATCH * stop])
    with pytest.raises(ZeroDivisionError, match="mine") as info:
        next(iterator)
    assert f"raised by map at batch {stop} of epoch 0" in info.value.__notes__[0]
    assert list(iterator) == []
    state = loader.state_dict()
    assert_rows(loader, order_of(1))
    breaks = False
    loader.load_state_dict(state)
    assert_rows(loader, order_of(0)[BATCH * stop :])


@THREADS
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("arrays", [False, True])
@pytest.mark.parametrize("n_before", [0, 1, 8, 20])
def test_an_exception_in_a_users_sampler_comes_at_the_batch_that_needs_the_row(threads, error, arrays, n_before):
    class Breaking:
        breaks = True

        def __iter__(self):
            for row in range(N):
                if row == n_before and self.breaks:
                    raise error("mine")
                yield np.array([row]) if arrays else row

    sampler = Breaking()
    loader = fb.Loader((SOURCES[2], np.arange(N)), 4, sampler=sampler, threads=threads, prefetch=4)
    iterator = iter(loader)
    if error is ZeroDivisionError or threads == 0:  # what must not wait ends the iterator at once
        assert_rows(itertools.islice(iterator, n_before // 4), np.arange(n_before // 4 * 4))
    with pytest.raises(error, match="mine"):
        for _ in iterator:
            pass
    assert list(iterator) == []
    sampler.breaks = False
    assert_rows(loader, np.arange(N))


# ---------------------------------------------------------------------------------------------------------------------
# Dropped
# ---------------------------------------------------------------------------------------------------------------------


@THREADS
@WIDTHS
@pytest.mark.parametrize("n_drawn", [0, 1, LAST + 1])
def test_an_iterator_outlives_its_loader(threads, width, n_drawn):
    loader = make(threads, width)
    iterator = iter(loader)
    drawn = list(itertools.islice(iterator, n_drawn))
    gone = weakref.ref(loader)
    del loader
    assert gone() is None
    assert_rows([*drawn, *iterator], order_of(0))


@needs_proc
def test_threads_end_with_the_last_iterator():
    before = n_threads_of_process()
    for n_drawn in (1, LAST, 100):
        iterator = iter(make(4, 9000))
        for _ in itertools.islice(iterator, n_drawn):
            pass
        del iterator
        assert_threads_end(before)


@needs_proc
@pytest.mark.parametrize("ends", ["closed", "loader last", "iterator last", "exhausted", "failed"])
def test_threads_of_map_end_with_the_loader_and_its_iterators_without_a_collection(ends):
    def check(batch):
        if ends == "failed" and batch[1][0] == wrong:
            raise ZeroDivisionError
        return batch

    wrong = order_of(0)[2 * BATCH]
    gc.collect()
    before = n_threads_of_process()
    gc.disable()
    try:
        loader = make(2, 9000, map=check, map_threads=3)
        iterator = iter(loader)
        next(iterator)
        if ends == "closed":
            loader.close()
        elif ends == "iterator last":
            del loader
            next(iterator)
            del iterator
        elif ends == "exhausted":
            assert len(list(iterator)) == LAST
            del loader, iterator
        elif ends == "failed":
            with pytest.raises(ZeroDivisionError):
                list(iterator)
            del loader, iterator
        else:
            del iterator, loader
        assert_threads_end(before)
    finally:
        gc.enable()


CYCLES = """
import gc, sys
import numpy as np
import fastbatch as fb

class Cycle:
    pass

def begin(threads, prefetch):
    x = np.ones((64, 1 << 19), np.uint8)  # large enough for its memory to be unmapped when it is freed
    loader = fb.Loader(x, 8, shuffle=True, threads=threads, prefetch=prefetch, map=lambda batch: batch)
    return loader, iter(loader)

def tie_both(loader, iterator):
    cycle = Cycle()
    cycle.itself, cycle.loader, cycle.iterator = cycle, loader, iterator

def tie_iterator(loader, iterator):
    cycle = Cycle()
    cycle.itself, cycle.iterator = cycle, iterator

def tie_to_loader(loader, iterator):
    loader.itself, loader.iterator = loader, iterator

def tie_epoch(loader, iterator):
    held = [iterator.epoch]
    held.append(held)

gc.disable()
for threads, prefetch in ((0, 0), (1, 8), (4, 8)):
    for tie in (tie_both, tie_iterator, tie_to_loader, tie_epoch):
        for _ in range(6):
            loader, iterator = begin(threads, prefetch)
            next(iterator)
            tie(loader, iterator)
            del loader, iterator
            gc.collect()
"""


def test_cycles_are_collected_while_threads_read_the_data():
    assert_quiet(run_program(CYCLES))


@THREADS
def test_what_a_cycle_held_is_freed(threads):
    data = SOURCES[2].copy()
    loader = fb.Loader(data, BATCH, shuffle=True, threads=threads)
    loader.iterator = iter(loader)
    loader.itself = loader
    next(loader.iterator)
    gone = weakref.ref(loader), weakref.ref(data)
    del loader, data
    gc.collect()
    assert [reference() for reference in gone] == [None, None]


# ---------------------------------------------------------------------------------------------------------------------
# Closed
# ---------------------------------------------------------------------------------------------------------------------


@THREADS
@WIDTHS
def test_close_may_come_twice_and_from_another_thread(threads, width):
    loader = make(threads, width, prefetch=4)
    held = list(itertools.islice(loader, 3))
    iterator = iter(loader)
    next(iterator)
    run_threads(loader.close, loader.close, loader.close)
    loader.close()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="the Loader is closed"):
            iter(loader)
    with pytest.raises(RuntimeError, match="the Loader is closed"):
        next(iterator)
    assert list(iterator) == []
    assert_rows(held, order_of(0)[: 3 * BATCH])
    assert loader.stats().threads == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_close_ends_a_wait(threads):
    with StallingArray(20, 1 << 20, first=1) as source:
        # With one batch ahead: else whoever waits fills a later one, and stalls as well.
        loader = fb.Loader(source.array, 1, threads=threads, prefetch=1)
        iterator = iter(loader)
        next(iterator)
        source.wait()  # a thread fills the next batch
        ended = threading.Event()

        def consume():
            with pytest.raises(RuntimeError, match="the Loader is closed"):
                next(iterator)
            ended.set()

        def close():
            while sys._current_frames()[consumer.ident].f_code is not consume.__code__:
                time.sleep(0.001)
            loader.close()

        consumer = threading.Thread(target=consume)
        closer = threading.Thread(target=close)
        consumer.start()
        closer.start()
        assert ended.wait(60)
        source.release()
        closer.join()
        consumer.join()
        assert loader.stats().threads == 0


@THREADS
@pytest.mark.parametrize("n_waiting", [1, 3])
def test_close_ends_the_wait_for_a_users_sampler(threads, n_waiting):
    asked, answers = threading.Event(), threading.Event()

    class Slow:
        def __iter__(self):
            yield from range(4)
            asked.set()
            answers.wait()
            yield from range(4, 40)

    loader = fb.Loader(np.arange(40), 4, sampler=Slow(), threads=threads, prefetch=1)
    iterator = iter(loader)
    ends = []

    def consume():
        try:
            for _ in iterator:
                pass
        except RuntimeError as error:
            ends.append(str(error))

    def close():
        asked.wait()
        loader.close()
        answers.set()

    run_threads(*[consume] * n_waiting, close)
    assert ends[:1] == ["the Loader is closed"]


@THREADS
@WIDTHS
def test_close_may_come_at_any_moment(threads, width):
    for attempt in range(10):
        loader = make(threads, width, prefetch=2)
        begun = threading.Event()

        def consume(loader=loader, begun=begun):
            try:
                for epoch in itertools.count():
                    for i, batch in enumerate(loader):
                        begun.set()
                        assert_rows([batch], order_of(epoch)[BATCH * i : BATCH * (i + 1)])
            except RuntimeError as error:
                assert str(error) == "the Loader is closed"  # noqa: PT017

        def close(loader=loader, begun=begun, attempt=attempt):
            begun.wait()
            deadline = time.monotonic() + attempt * 1e-3
            while time.monotonic() < deadline:
                pass
            loader.close()

        run_threads(consume, close)
