"""Python threads that call a function on one batch after the other."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import warnings
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any


class Job:
    """A batch on its way through the function.

    Attributes
    ----------
    name : str
        The batch in words; "" where no function of the user's is called with it.
    position : int
        Behind the batch.
    is_done : bool
        Whether `result`, or `error`, is there.
    """

    def __init__(self, function: Callable[[Any], Any], batch: Any, name: str, position: int) -> None:
        self.name = name
        self.position = position
        self.is_done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self._work: tuple[Callable[[Any], Any], Any] | None = (function, batch)
        self._is_cancelled = False
        self._claim = threading.Lock()  # taken for good by whoever runs this, or cancels it
        self._gate = threading.Lock()  # shut until it is done
        self._gate.acquire()

    def run(self) -> None:
        """Call the function, unless somebody else does."""
        if not self._claim.acquire(blocking=False):
            return
        work, self._work = self._work, None
        assert work is not None
        function, batch = work
        try:
            self.result = function(batch)
        except BaseException as error:
            self.error = error
        del work, batch  # whoever waits finds its memory free
        self.is_done = True
        self._gate.release()
        if self._is_cancelled:
            self.result = self.error = None

    def cancel(self) -> None:
        """Nobody wants the result any more."""
        self._is_cancelled = True
        if self._claim.acquire(blocking=False):
            self._work = None
        self.result = self.error = None

    def wait(self, seconds: float) -> None:
        """Wait until it is done, but not for longer than so many seconds."""
        if self._gate.acquire(timeout=seconds):
            self._gate.release()

    def outcome(self) -> Any:
        """The result; or raises the error, once."""
        if self.error is None:
            return self.result
        try:
            if self.name:
                self.error.add_note(f"raised by map at {self.name}")
            if isinstance(self.error, StopIteration):  # which would end the user's loop without a word
                raise RuntimeError(f"map raised StopIteration at {self.name}") from self.error
            raise self.error
        finally:
            self.error = None  # a cycle, by way of its traceback


class Crew:
    """Threads that do jobs, in one process; they end when this goes.

    They are daemons, so that whoever trains in a thread of its own may go on when the main thread is over.
    """

    def __init__(self, n_threads: int) -> None:
        self.is_over = False
        self._n_threads = n_threads
        self._process = os.getpid()
        self._threads: list[threading.Thread] = []
        self._starting = threading.RLock()  # reentrant, because signal handlers may iterate too
        # Threads hold the queue alone: what they do not work at, they keep alive for nobody.
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()

    def submit(self, job: Job) -> None:
        """Have a job done, on this thread where there is no other."""
        with self._starting:
            while len(self._threads) < self._n_threads and not self.is_over:
                self._start_thread()
        if self.is_over or not self._threads:
            job.run()
        else:
            self._jobs.put(job)

    def end(self) -> None:
        """Let the threads end when they have done what they have begun; what waits for them is left."""
        self.is_over = True
        if self._process != os.getpid():
            return
        with contextlib.suppress(Empty):
            while True:
                self._jobs.get_nowait()
        self._jobs.put(None)

    def join(self, seconds: float) -> None:
        """Wait until the threads have ended, but not for longer than so many seconds."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def __del__(self) -> None:
        """Whoever had jobs for them is gone."""
        self.end()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=_work, args=(self._jobs,), name="fastbatch-map", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._n_threads = len(self._threads)
            warnings.warn(
                f"the system refused to start a thread: map runs on {self._n_threads}", RuntimeWarning, stacklevel=2
            )
        else:
            self._threads.append(thread)


def _work(jobs: SimpleQueue[Job | None]) -> None:
    while (job := jobs.get()) is not None:
        job.run()
        del job  # nothing of it is kept while this waits
    jobs.put(None)  # for the other threads
