"""What becomes of Loaders when their process forks, or ends."""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Protocol

from fastbatch._native.engine import count_fork


class Mortal(Protocol):
    """What has threads, locks and memory of one process."""

    def _start_afresh(self) -> None: ...

    def _stop_threads(self) -> None: ...


_ALL: weakref.WeakSet[Mortal] = weakref.WeakSet()


def register(loader: Mortal) -> None:
    """Look after a Loader."""
    _ALL.add(loader)


def _after_fork() -> None:
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
    os.register_at_fork(after_in_child=_after_fork)
