"""How far something long has got."""

from __future__ import annotations

import threading
from typing import TextIO

WIDTH, LABEL_WIDTH = 30, 32


class ProgressBar:
    """A line of text that is redrawn, and erased at the end of the block. Any thread may advance it.

    Parameters
    ----------
    label : str
    n_total, n_done : int
        Steps there are, and those that were done before.
    stream : file of text
    shown : bool, optional
        None: where the stream is a terminal.
    """

    def __init__(self, label: str, n_total: int, stream: TextIO, *, n_done: int = 0, shown: bool | None = None) -> None:
        self._label, self._n_total, self._n_done = label, n_total, n_done
        self._stream, self._is_shown = stream, stream.isatty() if shown is None else shown
        self._percent = -1
        self._lock = threading.Lock()

    def __enter__(self) -> ProgressBar:
        """The bar, which is drawn at the first step."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Erase it, so that a result takes the line's place."""
        if self._is_shown:
            self._stream.write(f"\r{'':{LABEL_WIDTH + WIDTH + 9}}\r")
            self._stream.flush()

    def advance(self, n_steps: int = 1) -> None:
        """Count some steps, and redraw if the percentage has changed."""
        with self._lock:
            self._n_done += n_steps
            percent = 100 * self._n_done // self._n_total
            if not self._is_shown or percent == self._percent:
                return
            self._percent = percent
            filled = "#" * (WIDTH * self._n_done // self._n_total)
            self._stream.write(f"\r{self._label:<{LABEL_WIDTH}}[{filled:-<{WIDTH}}] {percent:3d} %")
            self._stream.flush()
