"""What batches go through between the engine and whoever iterates: a device, a user's function."""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn

from fastbatch import lifetimes
from fastbatch._native.batches import Batches, Epoch
from fastbatch.arguments import as_integer
from fastbatch.crew import Crew, Job
from fastbatch.delivery.destination import Carrier
from fastbatch.workers import MOST_THREADS

# Whoever waits looks so often whether there is still something to wait for.
PATIENCE_SECONDS = 0.05

# How long the end of the interpreter waits for calls of the function that have begun. A thread that is still inside a
# framework's code when the interpreter is gone can take the process down; one that never returns must not keep it.
EXIT_SECONDS = 3.0

# Batches on their way to a device behind the one that is handed out.
COPIES_AHEAD = 2

# What is no batch.
END = object()

CLOSED = "the Loader is closed"
FORKED = "this iterator was made in the process that was forked; iterate the Loader anew"


def check_mapping(function: Callable[[Any], Any] | None, map_threads: int) -> int:
    """The number of threads that the arguments `map` and `map_threads` of a Loader ask for.

    Raises
    ------
    TypeError
        The function is not callable, the number no integer.
    ValueError
        It is out of range, or there is no function to be called.
    """
    if function is not None and not callable(function):
        raise TypeError(f"map must be callable, got {type(function).__name__}")
    n_threads = as_integer(map_threads, "map_threads")
    if not 0 <= n_threads <= MOST_THREADS:
        raise ValueError(f"map_threads must be from 0 to {MOST_THREADS}, got {n_threads}")
    if n_threads > 0 and function is None:
        raise ValueError(f"map_threads={n_threads} needs a map")
    return n_threads


class Mapping:
    """What batches go through, and the threads that do it.

    Parameters
    ----------
    function : callable, optional
        Called with a batch; what it returns is handed out instead.
    n_threads : int
        0: it is called when the batch is asked for, by whoever asks.
    carrier : Carrier, optional
        What copies batches to a device; the function has them there.
    copies_ahead : int
        Batches that are on their way to the device ahead of the one that is asked for.
    """

    def __init__(
        self,
        function: Callable[[Any], Any] | None,
        n_threads: int,
        carrier: Carrier | None = None,
        copies_ahead: int = COPIES_AHEAD,
    ) -> None:
        self.function = function
        self.n_threads = n_threads
        self.carrier = carrier
        # Every thread is kept at work, and as many batches are ready.
        self.n_drawn = 2 * n_threads if n_threads > 0 else 1 + copies_ahead
        self.is_closed = False
        self._start_afresh()
        lifetimes.register(self)

    def begun(self) -> Callable[[Any], Any]:
        """What is to be done with the batch that was drawn just now, by a thread if there are any."""
        if self.carrier is not None and self.n_threads == 0:
            return functools.partial(_receive, self.carrier, self.carrier.mark(), self.function)
        assert self.function is not None
        if self.carrier is None:
            return self.function
        return functools.partial(_receive_and_call, self.carrier, self.carrier.mark(), self.function)

    def finished(self, outcome: Any) -> Any:
        """What whoever iterates is given."""
        if self.carrier is None or self.n_threads == 0:
            return outcome
        result, mark = outcome
        self.carrier.receive(result, mark)
        return result

    def waited(self, seconds: float, elapsed: float, *, ready: bool) -> None:
        """Count one batch: how long it was waited for, and how long ago the one before was handed out."""
        with self._counting:
            self._counts["handed_out"] += 1
            self._counts["ready"] += ready
            self._counts["wait_seconds"] += seconds
            self._counts["elapsed_seconds"] += elapsed

    def report(self, *, reset: bool) -> dict[str, Any]:
        """What whoever iterates has waited for: the batches that went through the function."""
        with self._counting:
            report = dict(self._counts)
            if reset:
                self._forget_counts()
        return report

    def close(self) -> None:
        """End the threads, and with an error the iterators."""
        self.is_closed = True
        self.crew.end()

    def _forget_counts(self) -> None:
        self._counts = {"handed_out": 0, "ready": 0, "wait_seconds": 0.0, "elapsed_seconds": 0.0}

    def _start_afresh(self) -> None:
        """In a child after a fork, too: threads and locks of its own."""
        self.crew = Crew(self.n_threads)
        self._counting = threading.RLock()  # reentrant, because signal handlers may iterate too
        self._forget_counts()

    def _stop_threads(self) -> None:
        """At the end of the interpreter: whoever iterates goes on without threads."""
        self.crew.end()
        self.crew.join(EXIT_SECONDS)


def _receive(carrier: Carrier, mark: Any, function: Callable[[Any], Any] | None, batch: Any) -> Any:
    carrier.receive(batch, mark)
    return batch if function is None else function(batch)


def _receive_and_call(carrier: Carrier, mark: Any, function: Callable[[Any], Any], batch: Any) -> tuple[Any, Any]:
    carrier.receive(batch, mark)
    return carrier.call(function, batch)


class MappedBatches:
    """The batches of one epoch, each after what it goes through: an iterator, in order.

    Parameters
    ----------
    batches : Batches
        Of an epoch whose batches are relayed.
    mapping : Mapping
    """

    def __init__(self, batches: Batches, mapping: Mapping) -> None:
        self._batches: Batches | None = batches
        self._mapping = mapping
        self._crew = mapping.crew
        self._jobs: deque[Job] = deque()
        self._is_drawing = False
        # What comes when the jobs have been handed out: the end, or an error.
        self._is_drawn = False
        self._error: Exception | None = None
        self._left = 0.0  # when the last batch was handed out
        self._turn = threading.RLock()  # reentrant, because signal handlers may iterate too

    def __iter__(self) -> MappedBatches:
        """Itself."""
        return self

    def __next__(self) -> Any:
        """The next batch.

        Raises
        ------
        Exception
            What the function raised, with a note that says at which batch; the iterator ends, the Loader does not.
        """
        if self._crew is not self._mapping.crew:
            raise RuntimeError(FORKED)
        with self._turn:
            entered = time.perf_counter()
            is_ready = bool(self._jobs) and not self._has_to_wait(self._jobs[0])
            try:
                job, epoch = self._next_reached()
            except MemoryError:  # no row is lost, and this can be asked again
                raise
            except BaseException:
                self._end()
                raise
            reached = time.perf_counter()
            try:
                job.run()  # unless a thread did
                result = self._mapping.finished(job.outcome())
            except BaseException:
                self._end()
                raise
            left = time.perf_counter()
            self._mapping.waited(reached - entered, left - (self._left or entered), ready=is_ready)
            self._left = left
            epoch.relay(job.position)
            return result

    def __del__(self) -> None:
        """What nobody will ask for is not begun."""
        self._end()

    def _end(self) -> None:
        self._batches = None
        jobs, self._jobs = self._jobs, deque()
        for job in jobs:
            job.cancel()

    def _next_reached(self) -> tuple[Job, Epoch]:
        """The job of the next batch: done, where there are threads to do it."""
        while True:
            if self._batches is None:
                raise StopIteration
            if self._mapping.is_closed:
                raise RuntimeError(CLOSED)
            self._begin_ahead(self._batches)
            epoch = self._batches.epoch
            if not self._jobs:
                self._finish(epoch)
            job = self._jobs[0]
            while self._has_to_wait(job) and self._is_next(job) and not self._mapping.is_closed:
                if self._crew.is_over:
                    job.run()
                job.wait(PATIENCE_SECONDS)
            if not self._has_to_wait(job) and self._is_next(job):
                return self._jobs.popleft(), epoch

    def _has_to_wait(self, job: Job) -> bool:
        return self._mapping.n_threads > 0 and not job.is_done

    def _is_next(self, job: Job) -> bool:
        """Whether no signal handler took it while it was waited for."""
        return bool(self._jobs) and self._jobs[0] is job

    def _finish(self, epoch: Epoch) -> NoReturn:
        error, self._error = self._error, None
        if error is not None:
            raise error
        epoch.relay(epoch.delivered, ended=True)
        raise StopIteration

    def _begin_ahead(self, batches: Batches) -> None:
        if self._is_drawing:
            raise RuntimeError("a signal handler asked this iterator for a batch while it drew one")
        self._is_drawing = True
        try:
            while not self._is_drawn and self._error is None and len(self._jobs) < self._mapping.n_drawn:
                self._draw(batches)
        finally:
            self._is_drawing = False

    def _draw(self, batches: Batches) -> None:
        try:
            batch = next(batches, END)
        except Exception as error:
            self._error = error
            return
        if batch is END:
            self._is_drawn = True
            return
        epoch = batches.epoch
        name = epoch.last_batch if self._mapping.function is not None else ""
        job = Job(self._mapping.begun(), batch, name, epoch.delivered)
        self._jobs.append(job)
        if self._mapping.n_threads > 0:
            self._crew.submit(job)
