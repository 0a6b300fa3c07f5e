"""A user's function over batches, on Python threads ahead of whoever iterates."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from fastbatch._native.batches import Batches


class Mapping:
    """A function, and the threads it runs on.

    Parameters
    ----------
    function : callable
        Called with a batch; what it returns is handed out instead.
    n_threads : int
        At least 1.
    """

    def __init__(self, function: Callable[[Any], Any], n_threads: int) -> None:
        self.function = function
        self.n_threads = n_threads
        self._executor: ThreadPoolExecutor | None = None
        self._process = os.getpid()
        self._waits = {"ready": 0, "wait_seconds": 0.0, "elapsed_seconds": 0.0}

    def submit(self, batch: Any) -> Future[Any]:
        """Begin with a batch."""
        if self._executor is None or self._process != os.getpid():  # threads do not survive a fork
            self._process = os.getpid()
            self._executor = ThreadPoolExecutor(self.n_threads, thread_name_prefix="fastbatch-map")
        return self._executor.submit(self.function, batch)

    def waited(self, seconds: float, elapsed: float, *, ready: bool) -> None:
        """Count one batch: how long it was waited for, and how long ago the one before was handed out."""
        self._waits["ready"] += ready
        self._waits["wait_seconds"] += seconds
        self._waits["elapsed_seconds"] += elapsed

    def report(self, *, reset: bool) -> dict[str, Any]:
        """What whoever iterates has waited for: the batches that went through the function."""
        waits = self._waits
        if reset:
            self._waits = dict.fromkeys(waits, 0)
        return waits

    def close(self) -> None:
        """Let the threads end when they have done what they have begun."""
        if self._executor is not None and self._process == os.getpid():
            self._executor.shutdown(wait=False)
        self._executor = None


class Pending(NamedTuple):
    """A batch on its way through the function."""

    future: Future[Any]
    name: str
    position: int  # behind it


class MappedBatches:
    """The batches of one epoch, each after it went through a function: an iterator, in order.

    Parameters
    ----------
    batches : Batches
        Of an epoch whose batches are relayed.
    mapping : Mapping
    """

    def __init__(self, batches: Batches, mapping: Mapping) -> None:
        self._batches: Batches | None = batches
        self._mapping = mapping
        self._pending: deque[Pending] = deque()
        self._error: BaseException | None = None  # to be raised when what is pending has been handed out
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
        with self._turn:
            entered = time.perf_counter()
            try:
                result, ready = self._next()
            except BaseException as error:
                if not isinstance(error, MemoryError):
                    self.close()
                raise
            left = time.perf_counter()
            self._mapping.waited(left - entered, left - (self._left or entered), ready=ready)
            self._left = left
            return result

    def close(self) -> None:
        """End the iterator: what is pending is dropped."""
        self._batches = None
        while self._pending:
            self._pending.pop().future.cancel()

    def __del__(self) -> None:
        """What nobody will ask for is not begun."""
        self.close()

    def _next(self) -> tuple[Any, bool]:
        batches = self._batches
        if batches is None:
            raise StopIteration
        self._begin_ahead(batches)
        if not self._pending:
            error, self._error = self._error, None
            assert error is not None
            if isinstance(error, StopIteration):
                batches.epoch.relay(batches.epoch.delivered, ended=True)
            raise error
        future, name, position = self._pending[0]
        ready = future.done()
        try:
            result = future.result()
        except BaseException as error:
            if not future.done():  # not the function's: a signal came while it was waited for
                raise
            error.add_note(f"raised by map at {name}")
            if isinstance(error, StopIteration):  # which would end the user's loop without a word
                raise RuntimeError("map raised StopIteration") from error
            raise
        self._pending.popleft()
        batches.epoch.relay(position)
        return result, ready

    def _begin_ahead(self, batches: Batches) -> None:
        """Keep every thread at work, and as many batches ready."""
        while self._error is None and len(self._pending) < 2 * self._mapping.n_threads:
            try:
                batch = next(batches)
            except (Exception, StopIteration) as error:
                self._error = error
                return
            epoch = batches.epoch
            self._pending.append(Pending(self._mapping.submit(batch), epoch.last_batch, epoch.delivered))
