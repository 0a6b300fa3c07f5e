"""A signal that raises ends the call it comes in, and not the Loader."""

import signal
import threading

import numpy as np
import pytest

import fastbatch as fb

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this platform has no interval timers")


class Alarm(Exception):
    pass


@pytest.fixture
def alarm():
    """A function that lets SIGALRM raise `Alarm` after some seconds of the process's time."""
    assert threading.current_thread() is threading.main_thread()

    def ring(*_):
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def interrupt(call, alarm):
    """Interrupt a call that must outlast the alarm: the alarm comes earlier until it comes inside."""
    for seconds in (0.02, 0.01, 0.005, 0.002, 0.001):
        alarm(seconds)
        try:
            call()
        except Alarm:
            return
        finally:
            alarm(0)
    pytest.fail("the call was over before every alarm")


def test_an_order_that_is_interrupted_leaves_the_loader_at_its_place(alarm):
    x = np.zeros(30_000_000, np.uint8)
    loader = fb.Loader(x, 1000, shuffle=True, seed=1)
    interrupt(lambda: next(iter(loader)), alarm)
    assert (loader.epoch, loader.state_dict()["position"]) in ((0, 0), (0, 1000))
    assert len(next(iter(loader))) == 1000


def test_a_plan_that_is_interrupted_leaves_the_loader_at_its_place(alarm):
    lengths = np.random.default_rng(0).integers(1, 512, 4_000_000)
    sampler = fb.TokenBudget(lengths, 16_384)
    x = np.broadcast_to(np.uint8(1), (len(lengths),))
    loader = fb.Loader(x, batch_sampler=sampler, seed=1, rows=True, threads=0)
    place = loader.state_dict()
    interrupt(lambda: sampler.order(1, 0), alarm)
    interrupt(lambda: len(loader), alarm)
    assert loader.state_dict() == place
    loader.set_epoch(1)  # whose plan nobody made
    interrupt(lambda: next(iter(loader)), alarm)
    expected = sampler.batches(1, 1)
    assert loader.state_dict()["position"] in (0, len(expected[0]))
    loader.set_epoch(1)
    assert len(loader) == len(expected)
    for wanted, (_, rows) in zip(expected[:100], loader, strict=False):
        assert np.array_equal(rows, wanted)
    interrupt(lambda: loader.batch(2, 0), alarm)
    expected = sampler.batches(1, 2)
    for i in (0, len(expected) - 1):
        assert np.array_equal(loader.batch(2, i)[1], expected[i])


def test_a_take_is_interrupted(alarm):
    source = np.zeros((1_000, 1_000), np.uint8)
    rows = np.zeros(1_000_000, np.int64)
    out = np.empty((len(rows), 1_000), np.uint8)
    interrupt(lambda: fb.take(source, rows, out=out), alarm)
    fb.take(source, rows[:10], out=out[:10])
    assert not out[:10].any()
