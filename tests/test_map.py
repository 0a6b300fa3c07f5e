"""`map`: in whoever iterates, or on Python threads ahead of it; in order, and errors at the batch they belong to."""

import gc
import json
import os
import pickle
import signal
import threading
import time
import warnings
import weakref
from functools import partial

import numpy as np
import pytest

import fastbatch as fb
from fastbatch.crew import Job
from own_samplers import Anew, Keeping
from programs import run_program
from threads import run_threads

N = 41
X = np.arange(N)
BATCHES = [X[first : first + 4].tolist() for first in range(0, N, 4)]
SECONDS = 60  # more than anything here takes: what waits so long has failed

everywhere = pytest.mark.parametrize("map_threads", [0, 1, 2, 4])
on_threads = pytest.mark.parametrize("map_threads", [1, 2, 4])


class Mine(Exception):
    pass


class Counted(Keeping):
    """Says how many rows it has."""

    def __len__(self):
        return len(self.items)


def make(function, map_threads, **options):
    options = {"batch_size": 4, "seed": 3} | options
    return fb.Loader(X, map=function, map_threads=map_threads, **options)


def listed(batch):
    return batch.tolist()


def failing_at(row, error):
    """A function that raises `error` at the batch that begins with `row`."""

    def function(batch):
        if batch[0] == row:
            raise error
        return batch.tolist()

    return function


def place(loader):
    state = loader.state_dict()
    return state["epoch"], state["position"]


def map_threads_alive():
    return [thread for thread in threading.enumerate() if thread.name.startswith("fastbatch-map")]


def assert_map_threads_end(before=()):
    until = time.monotonic() + SECONDS
    for thread in map_threads_alive():
        while thread not in before and thread.is_alive():
            assert time.monotonic() < until
            gc.collect()  # errors refer to what raised them, once it has
            thread.join(0.01)


@pytest.fixture(autouse=True)
def none_left():
    """No test leaves a thread behind."""
    yield
    assert_map_threads_end()


# ---------------------------------------------------------------------------------------------------------------------
# What comes, in which order
# ---------------------------------------------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("drop_last", [False, True])
def test_results_come_in_order_every_epoch(map_threads, threads, drop_last):
    loader = make(listed, map_threads, shuffle=True, threads=threads, drop_last=drop_last)
    for epoch in range(3):
        order = fb.Shuffle(N).order(3, epoch).tolist()
        expected = [order[first : first + 4] for first in range(0, N, 4)]
        assert list(loader) == expected[: len(loader)]
        assert place(loader) == (epoch + 1, 0)


@everywhere
@pytest.mark.parametrize("n", [0, 1, 4, 5])
def test_epochs_of_few_batches(map_threads, n):
    loader = fb.Loader(np.arange(n), 4, map=listed, map_threads=map_threads)
    for _ in range(3):
        batches = iter(loader)
        assert list(batches) == [list(range(n))[first : first + 4] for first in range(0, n, 4)]
        assert next(batches, "end") == "end"


@everywhere
def test_whatever_the_function_returns_is_handed_out(map_threads):
    results = [None, StopIteration, StopIteration(), NotImplemented, Mine("returned"), (), 0.0]
    waiting = iter(results)
    loader = fb.Loader(np.arange(len(results)), 1, map=lambda batch: results[batch[0]], map_threads=map_threads)
    for result in loader:
        assert result is next(waiting)
    assert next(waiting, "end") == "end"


@everywhere
def test_the_function_gets_batches_that_are_its_own(map_threads):
    def function(batch):
        batch["x"] += 100
        return batch

    loader = fb.Loader({"x": X}, 4, rows=True, map=function, map_threads=map_threads)
    for _ in range(2):
        held = list(loader)
        assert np.array_equal(np.concatenate([batch["x"] for batch in held]), X + 100)
        assert np.array_equal(np.concatenate([batch["rows"] for batch in held]), X)
    assert X[0] == 0


def test_without_threads_whoever_iterates_calls_the_function_one_batch_at_a_time():
    calls = []
    loader = make(lambda batch: calls.append((batch.tolist(), threading.get_ident())), 0)
    for i, result in enumerate(loader):
        assert result is None
        assert calls == [(batch, threading.get_ident()) for batch in BATCHES[: i + 1]]


@on_threads
def test_with_threads_nobody_else_calls_the_function(map_threads):
    idents = []
    list(make(lambda batch: idents.append(threading.get_ident()), map_threads))
    assert len(idents) == len(BATCHES)
    assert threading.get_ident() not in idents
    assert len(set(idents)) <= map_threads


def test_a_batch_by_its_number_does_not_go_through_the_function():
    for map_threads in (0, 2):
        assert make(listed, map_threads).batch(0, 1).tolist() == BATCHES[1]


@pytest.mark.parametrize("map_threads", [2, 3, 4])
def test_batches_are_mapped_at_the_same_time(map_threads):
    together = threading.Barrier(map_threads)

    def function(batch):
        together.wait(SECONDS)  # until so many are here
        return batch.tolist()

    n = 2 * map_threads
    loader = fb.Loader(np.arange(n), 1, map=function, map_threads=map_threads)
    assert list(loader) == [[row] for row in range(n)]


@on_threads
def test_batches_are_mapped_ahead_of_whoever_iterates(map_threads):
    begun = threading.Semaphore(0)

    def function(batch):
        begun.release()
        return batch.tolist()

    batches = iter(make(function, map_threads))
    n_begun = 0
    for i, expected in enumerate(BATCHES):
        assert next(batches) == expected
        while n_begun < min(2 * map_threads + i, len(BATCHES)):
            assert begun.acquire(timeout=SECONDS)  # although nobody asks for them
            n_begun += 1
    assert next(batches, None) is None


def test_a_slow_batch_holds_up_the_order_and_not_the_other_threads():
    others = threading.Barrier(2)

    def function(batch):
        if batch[0] < 4 or batch[0] == 12:  # the first waits for the fourth, which another thread comes to
            others.wait(SECONDS)
        return batch.tolist()

    assert list(make(function, 2)) == BATCHES


# ---------------------------------------------------------------------------------------------------------------------
# The place
# ---------------------------------------------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("sampler", ["shuffle", "keeping", "batch_sampler", "array"])
def test_the_place_counts_what_the_user_has_and_resumes_to_the_rest(map_threads, threads, sampler):
    def new():
        options = {
            "shuffle": {"shuffle": True},
            "keeping": {"sampler": Counted(list(range(N))[::-1])},
            "batch_sampler": {
                "batch_sampler": Keeping([X[first : first + 1 + first % 5] for first in range(0, 40, 3)])
            },
            "array": {"sampler": np.arange(N)[::-1]},
        }[sampler]
        batch_size = None if sampler == "batch_sampler" else 4
        return make(listed, map_threads, batch_size=batch_size, threads=threads, **options)

    for epoch in (0, 1):
        whole, loader = new(), new()
        whole.set_epoch(epoch)
        loader.set_epoch(epoch)
        expected = list(whole)
        batches = iter(loader)
        for i in range(len(expected) + 1):
            state = json.loads(json.dumps(loader.state_dict()))
            assert (state["epoch"], state["position"]) == (epoch, sum(map(len, expected[:i])))
            if sampler != "batch_sampler":
                assert loader.remaining == len(expected) - i
            fresh = new()
            fresh.load_state_dict(state)
            assert fresh.state_dict() == state
            assert list(fresh) == expected[i:]
            assert place(fresh) == (epoch + 1, 0)
            if i < len(expected):
                assert next(batches) == expected[i]
        assert next(batches, "end") == "end"
        assert place(loader) == (epoch + 1, 0)


@on_threads
def test_a_sampler_without_a_state_is_at_its_place_too(map_threads):
    loader = make(listed, map_threads, sampler=Anew(lambda: iter(range(N))))
    for i, batch in enumerate(loader):
        assert batch == BATCHES[i]
        assert place(loader) == (0, min(N, 4 * i + 4))
    assert place(loader) == (1, 0)


@everywhere
def test_break_leaves_the_place_behind_the_last_batch_that_came(map_threads):
    for n in (1, 2, 5, len(BATCHES)):
        loader = make(listed, map_threads)
        for i, batch in enumerate(loader):
            assert batch == BATCHES[i]
            if i + 1 == n:
                break
        assert place(loader) == (0, min(N, 4 * n))
        assert list(loader) == BATCHES
        assert place(loader) == (2, 0)


# ---------------------------------------------------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("error", [Mine, ValueError, MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("at", [0, 1, 6, len(BATCHES) - 1])
def test_an_error_is_raised_at_its_batch_and_the_loader_goes_on(map_threads, error, at):
    raised = error("mine")
    loader = make(failing_at(4 * at, raised), map_threads)
    batches = iter(loader)
    for i in range(at):
        assert next(batches) == BATCHES[i]
    with pytest.raises(error, match="mine") as caught:
        next(batches)
    assert caught.value is raised
    end = min(N, 4 * at + 4)
    assert raised.__notes__ == [f"raised by map at batch {at} of epoch 0 (its rows {4 * at} to {end})"]
    assert place(loader) == (0, 4 * at)  # the batch that failed comes again
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(batches)
    assert place(loader) == (0, 4 * at)

    fresh = make(listed, map_threads)
    fresh.load_state_dict(loader.state_dict())
    assert list(fresh) == BATCHES[at:]
    loader.set_epoch(5)
    batches = iter(loader)
    assert [next(batches) for _ in range(at)] == BATCHES[:at]
    assert place(loader) == (5, 4 * at)


@everywhere
def test_stop_iteration_does_not_end_the_loop_without_a_word(map_threads):
    loader = make(failing_at(8, StopIteration("mine")), map_threads)
    got = []
    with pytest.raises(RuntimeError, match="map raised StopIteration") as caught:
        got.extend(loader)
    assert got == BATCHES[:2]
    assert isinstance(caught.value.__cause__, StopIteration)
    assert caught.value.__cause__.__notes__ == ["raised by map at batch 2 of epoch 0 (its rows 8 to 12)"]
    assert place(loader) == (0, 8)


@on_threads
def test_the_first_of_several_errors_is_raised(map_threads):
    all_failed = threading.Barrier(map_threads)

    def function(batch):
        all_failed.wait(SECONDS)
        raise Mine(batch[0])

    batches = iter(make(function, map_threads))
    with pytest.raises(Mine) as caught:
        next(batches)
    assert caught.value.args == (0,)
    all_failed.abort()


@everywhere
def test_an_error_of_the_sampler_comes_after_the_batches_before_it(map_threads):
    def rows():
        yield from range(10)
        raise Mine

    loader = make(listed, map_threads, sampler=Anew(rows))
    for epoch in range(2):
        batches = iter(loader)
        assert [next(batches), next(batches)] == BATCHES[:2]
        with pytest.raises(Mine) as caught:
            next(batches)
        assert not hasattr(caught.value, "__notes__")  # not the function's
        assert place(loader) == (epoch, 8)
        assert next(batches, "end") == "end"
        assert place(loader) == (epoch, 8)


@everywhere
def test_an_error_as_the_epoch_begins_leaves_the_place(map_threads):
    def failing():
        raise Mine

    loader = make(listed, map_threads, sampler=Anew(failing))
    loader.set_epoch(4)
    for _ in range(2):
        with pytest.raises(Mine):
            next(iter(loader))
        assert place(loader) == (4, 0)
    loader._sampler.iterable.make = lambda: iter([1, 2])
    assert list(loader) == [[1, 2]]


@everywhere
def test_no_memory_for_a_batch_loses_none_and_the_iterator_can_be_asked_again(map_threads, monkeypatch):
    loader = make(listed, map_threads)
    batches = iter(loader)
    if map_threads:
        drawing = batches._batches
        fails = iter([False, True, False, True, True])

        class Failing:
            epoch = property(lambda self: drawing.epoch)

            def __next__(self):
                if next(fails, False):
                    raise MemoryError
                return next(drawing)

        batches._batches = Failing()
    got, n_errors = [], 0
    while (batch := attempt(batches)) != "end":
        if batch is MemoryError:
            n_errors += 1
        else:
            got.append(batch)
            assert place(loader)[1] == min(N, 4 * len(got))
    assert got == BATCHES
    assert n_errors == (3 if map_threads else 0)


def attempt(batches):
    try:
        return next(batches, "end")
    except MemoryError:
        return MemoryError


@everywhere
def test_an_error_in_the_loop_is_as_a_break(map_threads):
    loader = make(listed, map_threads)

    def loop():
        for i, _ in enumerate(loader):
            if i == 2:
                raise Mine

    with pytest.raises(Mine):
        loop()
    assert place(loader) == (0, 12)
    assert list(loader) == BATCHES


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"map": 3}, TypeError, "map must be callable, got int"),
        ({"map": listed, "map_threads": True}, TypeError, "map_threads must be an integer, got True"),
        ({"map": listed, "map_threads": 1.0}, TypeError, "^map_threads must be an integer, got 1.0$"),
        ({"map": listed, "map_threads": None}, TypeError, "^map_threads must be an integer, got None$"),
        ({"map": listed, "map_threads": -1}, ValueError, "map_threads must be from 0 to 256, got -1"),
        ({"map": listed, "map_threads": 257}, ValueError, "map_threads must be from 0 to 256, got 257"),
        ({"map_threads": 2}, ValueError, "map_threads=2 needs a map"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        fb.Loader(X, 4, **options)


def test_as_many_threads_as_an_index_says():
    assert list(make(listed, np.int8(2))) == BATCHES


# ---------------------------------------------------------------------------------------------------------------------
# Signals
# ---------------------------------------------------------------------------------------------------------------------


def handling(handler):
    """Python signal handlers run between two bytecodes of the main thread: also where it waits."""
    before = signal.signal(signal.SIGINT, handler)
    return lambda: signal.signal(signal.SIGINT, before)


def waited_for(position, monkeypatch):
    """An event: whoever iterates waits, and has no other place to be in when a signal comes, for this position."""
    awaited = threading.Event()
    wait = Job.wait

    def wait_seen(job, seconds):
        if job.position == position:
            awaited.set()
        wait(job, seconds)

    monkeypatch.setattr(Job, "wait", wait_seen)
    return awaited


@on_threads
def test_ctrl_c_while_waiting_ends_the_iterator_and_not_the_loader(map_threads, monkeypatch):
    awaited, freed = waited_for(8, monkeypatch), threading.Event()

    def function(batch):
        if batch[0] == 4:
            assert awaited.wait(SECONDS)
            signal.raise_signal(signal.SIGINT)
            freed.wait(SECONDS)
        return batch.tolist()

    restore = handling(signal.default_int_handler)
    loader = make(function, map_threads)
    batches = iter(loader)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(batches)
    finally:
        restore()
        freed.set()
    assert place(loader)[1] == 4
    assert next(batches, "end") == "end"
    fresh = make(listed, map_threads)
    fresh.load_state_dict(loader.state_dict())
    assert list(fresh) == BATCHES[place(loader)[1] // 4 :]


@on_threads
def test_a_signal_handler_may_iterate_too(map_threads, monkeypatch):
    """The iterator that is waited for, and another one: each batch comes once."""
    awaited, asked = waited_for(12, monkeypatch), threading.Event()
    mine, others = [], []
    loader = make(listed, map_threads)

    def handler(*_):
        asked.set()
        mine.append(next(batches, None))
        others.extend(loader)

    def function(batch):
        if batch[0] == 8:
            assert awaited.wait(SECONDS)
            signal.raise_signal(signal.SIGINT)
            assert asked.wait(SECONDS)
        return batch.tolist()

    restore = handling(handler)
    try:
        batches = iter(make(function, map_threads))
        rest = list(batches)
    finally:
        restore()
    assert sorted(rest + mine) == BATCHES
    assert others == BATCHES
    assert rest == sorted(rest)


# ---------------------------------------------------------------------------------------------------------------------
# Ends
# ---------------------------------------------------------------------------------------------------------------------


@on_threads
def test_threads_end_with_the_loader(map_threads):
    before = map_threads_alive()
    loader = make(listed, map_threads)
    batches = iter(loader)
    next(batches)
    assert len(map_threads_alive()) - len(before) == map_threads
    del loader
    assert sum(1 for _ in batches) == len(BATCHES) - 1  # which the iterator keeps
    del batches
    assert_map_threads_end(before)


def test_threads_do_not_keep_a_loader_alive_that_the_function_refers_to():
    class Trainer:
        def __init__(self):
            self.loader = make(self.function, 2)

        def function(self, batch):
            return self, batch

    trainer = Trainer()
    assert len(list(trainer.loader)) == len(BATCHES)
    gone = weakref.ref(trainer), weakref.ref(trainer.loader)
    del trainer
    gc.collect()
    assert [reference() for reference in gone] == [None, None]
    assert_map_threads_end()


def test_loaders_dropped_by_the_hundred_leave_no_thread():
    before = map_threads_alive()
    for i in range(300):
        batches = iter(make(listed, 2))
        for _ in range(i % 4):
            next(batches)
    del batches
    assert_map_threads_end(before)


def test_a_loader_that_is_not_iterated_has_no_threads():
    loader = make(listed, 4)
    iter(loader)
    assert map_threads_alive() == []
    loader.close()


@on_threads
def test_what_a_dropped_iterator_had_under_way_is_given_up(map_threads):
    n_begun, entered, freed = [0], threading.Semaphore(0), threading.Event()

    def function(batch):
        n_begun[0] += 1
        if batch[0] > 0:
            entered.release()
            assert freed.wait(SECONDS)
        return batch.tolist()

    loader = make(function, map_threads)
    batches = iter(loader)
    assert next(batches) == BATCHES[0]
    for _ in range(map_threads):
        assert entered.acquire(timeout=SECONDS)
    del batches
    freed.set()
    assert list(loader) == BATCHES
    assert n_begun == [1 + map_threads + len(BATCHES)]  # what no thread had begun never was


@on_threads
def test_dropped_iterators_hold_no_memory(map_threads):
    loader = make(lambda batch: None, map_threads)
    gc.disable()
    try:
        for n in (1, 5, 9):  # the last near the end, where nothing more can be drawn
            for i, _ in enumerate(loader):
                if i == n:
                    break
        until = time.monotonic() + SECONDS
        while loader.stats().leases > 0:  # until each thread has dropped what it had begun
            assert time.monotonic() < until
        assert len(list(loader)) == len(BATCHES)
        assert loader.stats().leases == 0
    finally:
        gc.enable()


@everywhere
def test_close_ends_iterators_with_an_error(map_threads):
    loader = make(listed, map_threads)
    batches = iter(loader)
    next(batches)
    loader.close()
    loader.close()
    with pytest.raises(RuntimeError, match="the Loader is closed"):
        next(batches)
    assert next(batches, "end") == "end"
    assert place(loader) == (0, 4)
    with pytest.raises(RuntimeError, match="the Loader is closed"):
        iter(loader)
    assert_map_threads_end()


@on_threads
def test_close_from_another_thread_ends_a_wait(map_threads):
    entered, freed = threading.Event(), threading.Event()

    def function(batch):
        entered.set()
        freed.wait(SECONDS)
        return batch

    loader = make(function, map_threads)
    caught = []

    def ask():
        try:
            next(iter(loader))
        except RuntimeError as error:
            caught.append(str(error))

    asking = threading.Thread(target=ask)
    asking.start()
    assert entered.wait(SECONDS)
    loader.close()
    asking.join(SECONDS)  # although the function has not returned
    assert not asking.is_alive()
    assert caught == ["the Loader is closed"]
    freed.set()
    assert_map_threads_end()


def test_close_by_the_function_itself():
    for map_threads in (0, 2):
        loader = make(lambda batch: loader.close(), map_threads)  # noqa: B023
        with pytest.raises(RuntimeError, match="the Loader is closed"):
            list(loader)


@on_threads
def test_python_threads_may_share_an_iterator(map_threads):
    n = 2000
    shared = iter(fb.Loader(np.arange(n), 3, map=listed, map_threads=map_threads, threads=1))
    boxes = [[] for _ in range(4)]
    run_threads(*[partial(box.extend, shared) for box in boxes])
    assert all(box == sorted(box) for box in boxes)
    assert sorted(batch for box in boxes for batch in box) == [
        list(range(n))[first : first + 3] for first in range(0, n, 3)
    ]


@on_threads
def test_python_threads_may_have_an_iterator_each(map_threads):
    loader = make(listed, map_threads, threads=1)
    got = [[] for _ in range(4)]
    run_threads(*[partial(lambda box: [box.append(list(loader)) for _ in range(20)], box) for box in got])
    assert all(batches == BATCHES for box in got for batches in box)
    assert len(map_threads_alive()) == map_threads


def test_a_thread_that_the_system_refuses_is_done_without(monkeypatch):
    start = threading.Thread.start
    for n_given in (0, 1):
        given = iter([True] * n_given)

        def refusing(thread, given=given):
            if thread.name.startswith("fastbatch-map") and not next(given, False):
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refusing)
        loader = make(listed, 3)
        with pytest.warns(RuntimeWarning, match="refused to start a thread"):
            assert list(loader) == BATCHES
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # once is enough
            assert list(loader) == BATCHES
        assert len(map_threads_alive()) == n_given
        del loader
        assert_map_threads_end()


# ---------------------------------------------------------------------------------------------------------------------
# Other processes
# ---------------------------------------------------------------------------------------------------------------------


@everywhere
def test_a_pickled_loader_maps_on(map_threads):
    loader = make(listed, map_threads)
    batches = iter(loader)
    got = [next(batches) for _ in range(3)]
    copied = pickle.loads(pickle.dumps(loader))
    assert place(copied) == (0, 12)
    assert list(copied) == list(batches) == BATCHES[3:]
    assert got == BATCHES[:3]


def test_a_function_without_a_name_cannot_be_pickled():
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(make(lambda batch: batch, 1))


FORK = """
import faulthandler, os, threading, time
import numpy as np
import fastbatch as fb

entered, freed = threading.Event(), threading.Event()

def function(batch):
    if batch[0] == 40:
        entered.set()
        freed.wait(60)
    return batch.tolist()

loader = fb.Loader(np.arange(100), 10, map=function, map_threads=2)
begun, unbegun = iter(loader), iter(loader)
next(begun)
asking = threading.Thread(target=list, args=(begun,), daemon=True)  # which holds the iterator's lock
asking.start()
assert entered.wait(60)
while (state := loader.state_dict()["position"]) < 40:  # until it has all batches before the one that it waits for
    time.sleep(0.001)
for _ in range(5):
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(30, exit=True)
        wrong = 0
        for iterator in (begun, unbegun):
            try:
                next(iterator)
                wrong = 2
            except RuntimeError as error:
                wrong = wrong or (0 if "forked" in str(error) else 3)
        freed.set()
        if list(loader) != np.arange(state, 100).reshape(-1, 10).tolist() or loader.stats().batches != 10 - state // 10:
            wrong = 4
        if len([thread for thread in threading.enumerate() if thread.name == "fastbatch-map"]) != 2:
            wrong = 5
        del begun, unbegun, iterator
        loader.close()
        os._exit(wrong)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
freed.set()
asking.join()
assert next(begun, "end") == "end"
assert len(list(loader)) == 10
"""

EXIT_WHILE_BUSY = """
import sys, threading
import numpy as np
import fastbatch as fb

entered, never = threading.Semaphore(0), threading.Event()

def function(batch):
    entered.release()
    {}
    return batch

loader = fb.Loader(np.arange(1000.0), 10, map=function, map_threads=3, threads=1)
batches = iter(loader)
threading.Thread(target=next, args=(batches,), daemon=True).start()
for _ in range(3):
    entered.acquire()
kept = sys.modules["kept"] = [batches, loader]
"""

BUSY = {
    "for a while": "never.wait(0.2)",
    "for ever": "__import__('fastbatch.mapping').mapping.EXIT_SECONDS = 0.1; never.wait()",
    "running": "__import__('fastbatch.mapping').mapping.EXIT_SECONDS = 0.1\n    while True: sum(range(100))",
}

EXIT_WITHOUT_MAIN = """
import atexit, threading
import numpy as np

def train():
    main.join()  # the main thread is over: nothing can be registered for the end of threads any more
    for epoch in range(3):
        assert [batch[0] for batch in loader] == list(range(0, 100, 10)), epoch
    print("trained")

def at_exit():  # after the threads were stopped
    print(sum(len(batch) for batch in loader), len(list(begun)))

atexit.register(at_exit)
import fastbatch as fb

loader = fb.Loader(np.arange(100), 10, map=lambda batch: batch.tolist(), map_threads=2)
begun = iter(fb.Loader(np.arange(100), 10, map=lambda batch: batch.tolist(), map_threads=2))
next(begun)
main = threading.main_thread()
threading.Thread(target=train).start()
"""


def run(program):
    return run_program(program, timeout=SECONDS, PYTHONWARNINGS="ignore")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_forked_child_goes_on_with_threads_of_its_own():
    done = run(FORK)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("busy", BUSY)
def test_the_interpreter_ends_while_the_function_is_at_work(busy):
    done = run(EXIT_WHILE_BUSY.format(BUSY[busy]))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_thread_trains_on_when_the_main_thread_is_over():
    done = run(EXIT_WITHOUT_MAIN)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "trained\n100 9\n")
