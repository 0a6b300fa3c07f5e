"""What becomes of Loaders when their process forks, or ends."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from typing import Protocol

from fastbatch._native.engine import count_fork


class Mortal(Protocol):
    """What has threads, locks and memory of one process."""

    def _start_afresh(self) -> None: ...

    def _stop_threads(self) -> None: ...


class Held(Protocol):
    """What a child has to find at rest."""

    def _before_fork(self) -> None: ...

    def _after_fork(self) -> None: ...


_ALL: weakref.WeakSet[Mortal] = weakref.WeakSet()
_HELD: weakref.WeakSet[Held] = weakref.WeakSet()
_forking = threading.RLock()


def register(loader: Mortal) -> None:
    """Look after a Loader."""
    _ALL.add(loader)


def hold_through_forks(held: Held) -> None:
    """Call ``_before_fork`` before each fork, and ``_after_fork`` after it, in the parent and in the child.

    Something may be released that was not held: what was made in between, or where a signal came in between.
    """
    _HELD.add(held)


def _before_fork() -> None:
    _forking.acquire()  # two threads would hold them in different orders
    for held in list(_HELD):
        held._before_fork()


def _release_held() -> None:
    for held in list(_HELD):
        held._after_fork()
    _forking.release()


def _after_fork() -> None:
    _release_held()
    count_fork()
    errors = []
    for loader in list(_ALL):
        try:
            loader._start_afresh()
        except Exception as error:  # of a user's sampler, asked for its state: the others go on
            errors.append(error)
    if errors:
        raise errors[0]


def _at_exit() -> None:
    # The interpreter frees the arrays that native threads read.
    for loader in list(_ALL):
        loader._stop_threads()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(before=_before_fork, after_in_parent=_release_held, after_in_child=_after_fork)
