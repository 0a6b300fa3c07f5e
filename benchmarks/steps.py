"""A consumer that takes batch after batch: the stages, what it computes for each batch, and who hands them out.

A stage holds one endless stream of epochs per contender, and a repeat consumes the next batches of it, as many as an
epoch has. So there is one turn of the epoch in each repeat, what a Loader has learned is kept, and threads that work
ahead find as much prepared when a repeat begins as they leave when it ends.
"""

import contextlib
import time
from functools import cached_property, lru_cache
from itertools import chain, islice, repeat
from statistics import median

import numpy as np
import torch

import fastbatch as fb
from benchmarks import roofline
from benchmarks.measure import Stage, elapsed

STEP_SECONDS = 300e-6
# Taken off the clock before each repeat: what was prepared while others had their turn.
N_UNTIMED = 16


@lru_cache(maxsize=1)  # cases that follow each other share one table, and no two are kept
def table(n, row_nbytes):
    """X: n rows of float32, told apart by their values up to 2**23 of them. y: the row's own number as its label."""
    columns = np.arange(row_nbytes // 4)
    X = np.empty((n, len(columns)), np.float32)
    np.add(np.arange(n)[:, None] % 2**23, columns, out=X, casting="unsafe")  # float32 is exact up to 2**24
    return X, np.arange(n)


@contextlib.contextmanager
def torch_threads(n):
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fall_quiet():
    """Wait until the threads of this process have done what they do unasked, for at most 0.2 s."""
    for _ in range(100):
        before = time.process_time()
        time.sleep(0.002)
        if time.process_time() - before < 0.0002:
            return


def best_seconds(step):
    """The shortest of some calls."""
    clock = time.perf_counter
    times = []
    for _ in range(20):
        start = clock()
        step(None)
        times.append(clock() - start)
    return min(times)


def python_step():
    """A computation in pure Python, with the GIL held from beginning to end."""

    def step(_batch):
        total = 0
        for number in numbers:
            total += number

    numbers = range(10_000)
    numbers = range(round(10_000 * STEP_SECONDS / best_seconds(step)))
    return step


def matmul_step(n_threads):
    """A torch matrix product, without the GIL, that takes one core so long that `n_threads` share it in 300 us.

    Sized with one thread, because two stall for milliseconds when something else has a core at that moment.
    """

    def step(_batch):
        torch.mm(a, b, out=out)

    with torch_threads(1):
        for size in range(128, 4096, 32):
            a, b, out = torch.ones(size, size), torch.ones(size, size), torch.empty(size, size)
            if best_seconds(step) >= STEP_SECONDS * n_threads:
                break
    return step


class Steps(Stage):
    """Shuffled batches of (X, y), and a step for each.

    make_step : gives the consumer's computation, called with each batch; None for a consumer that does nothing
    n_torch_threads : how many torch has, while the stage is at work
    """

    def __init__(self, X, y, batch, *, n_batches=None, make_step=None, n_torch_threads=1):
        self.X, self.y, self.n, self.batch = X, y, len(X), batch
        self.units = self.n_batches = n_batches or len(range(0, self.n, batch))
        self.n_torch_threads = n_torch_threads
        self.step = make_step() if make_step else None
        self.streams = {}
        self.waits = None

    @contextlib.contextmanager
    def at_most(self, n_batches):
        """Contenders consume that many batches, if not fewer anyhow."""
        before, self.n_batches = self.n_batches, min(self.n_batches, n_batches)
        try:
            yield
        finally:
            self.n_batches = before

    def refresh(self, contender):
        if contender is BARE[0]:  # a new order for all of them in this round
            fb.shuffle(self.order)
        fall_quiet()
        with self.at_most(N_UNTIMED):
            contender(self)

    def check(self, contender):
        """The rows of the first epoch; then a new stream is consumed for an epoch, for a Loader to learn from."""
        with self.at_most(len(range(0, self.n, self.batch))):
            if contender is not compute_alone:
                streams, self.streams = self.streams, {}
                self.check_rows(contender)
                self.streams = streams
            contender(self)

    def check_rows(self, contender):
        got = []

        def keep(x_batch, y_batch):
            x_batch, y_batch = np.asarray(x_batch), np.asarray(y_batch)
            rows = np.array(self.rows_of(x_batch, y_batch))
            assert len(rows) <= self.batch
            assert np.array_equal(x_batch, self.X[rows]), "these are no rows of the table"
            assert np.array_equal(y_batch, self.y[rows]), "rows and labels do not belong together"
            got.append(rows)

        contender(self, keep)
        assert len(got) == self.n_batches, "a batch is lost or doubled"
        order = np.concatenate(got)
        assert np.any(order[1:] < order[:-1]), "the epoch is not shuffled"
        assert len(order) == min(self.n, self.n_batches * self.batch), "a batch is too short"
        seen = np.zeros(self.n, bool)
        seen[order] = True
        assert seen.sum() == len(order), "a row is lost or doubled"

    def rows_of(self, _x_batch, y_batch):
        return y_batch

    def next_of(self, name, make_loader):
        """The next n_batches of an endless stream of epochs. All in C: it adds 20 ns to a batch."""
        if name not in self.streams:
            self.streams[name] = chain.from_iterable(repeat(make_loader()))
        return islice(self.streams[name], self.n_batches)

    def fastbatch(self, threads):
        data = (self.X, self.y)
        return self.next_of(
            f"threads={threads}", lambda: fb.Loader(data, self.batch, shuffle=True, seed=0, threads=threads)
        )

    def consume(self, batches, keep=None):
        if self.waits is not None:
            batches = timed_waits(batches, self.waits)
        step = self.step
        with torch_threads(self.n_torch_threads):
            if step is None and keep is None:
                for _batch in batches:
                    pass
                return
            for batch in batches:
                if step is not None:
                    step(batch)
                if keep is not None:
                    keep(*batch)

    @cached_property
    def order(self):
        order = np.arange(self.n, dtype=np.uint32)
        fb.shuffle(order)
        return order

    @cached_property
    def out(self):
        """Two slots for each of two threads."""
        return (
            roofline.aligned((4, self.batch, *self.X.shape[1:]), self.X.dtype),
            roofline.aligned((4, self.batch), self.y.dtype),
        )

    def gather(self, *, in_l2, n_threads, keep):
        order = self.order[: self.n_batches * self.batch]
        roofline.gather(self.X, self.y, order, *self.out, in_l2=in_l2, n_threads=n_threads, keep=keep)


def timed_waits(batches, waits):
    """The batches; the seconds of each `next` go to `waits`."""
    clock = time.perf_counter
    batches = iter(batches)
    while True:
        asked = clock()
        try:
            batch = next(batches)
        except StopIteration:
            return
        waits.append(clock() - asked)
        yield batch


def median_wait(contender, stage):
    """Seconds that a `next` takes, in the middle. For a stage whose `units` is 1."""
    stage.waits = []
    elapsed(contender, stage)
    waits, stage.waits = stage.waits, None
    return median(waits)


def compute_alone(stage, keep=None):
    """The same loop over numbers instead of batches."""
    stage.consume(range(stage.n_batches))


def fastbatch_threads_0(stage, keep=None):
    stage.consume(stage.fastbatch(threads=0), keep)


def fastbatch_threads_1(stage, keep=None):
    stage.consume(stage.fastbatch(threads=1), keep)


def fastbatch_threads_none(stage, keep=None):
    """As it is without being asked for anything: None is the default."""
    stage.consume(stage.fastbatch(threads=None), keep)


def bare_loop_l1(stage, keep=None):
    stage.gather(in_l2=False, n_threads=1, keep=keep)


def bare_loop_l2(stage, keep=None):
    stage.gather(in_l2=True, n_threads=1, keep=keep)


def two_bare_loops_l1(stage, keep=None):
    stage.gather(in_l2=False, n_threads=2, keep=keep)


def two_bare_loops_l2(stage, keep=None):
    stage.gather(in_l2=True, n_threads=2, keep=keep)


BARE = (bare_loop_l1, bare_loop_l2, two_bare_loops_l1, two_bare_loops_l2)
