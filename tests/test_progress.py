"""The line that says how far something has got."""

import io
import re

from fastbatch.progress import ProgressBar
from threads import run_threads


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_it_redraws_one_line_on_a_terminal_and_erases_it():
    terminal = Terminal()
    with ProgressBar("digits", 1000, terminal) as bar:
        for _ in range(1000):
            bar.advance()
    *frames, erased, end = terminal.getvalue().split("\r")
    assert "\n" not in terminal.getvalue()
    assert len(frames) == 1 + 101  # the empty text before the first return, then 0 % to 100 %
    assert re.fullmatch(r"digits +\[#{15}-{15}\]  50 %", frames[51])
    assert re.fullmatch(r"digits +\[#{30}\] 100 %", frames[101])
    assert erased.strip() == ""
    assert len(erased) >= len(frames[101])
    assert end == ""


def test_it_is_silent_elsewhere_unless_it_is_to_be_shown():
    for shown, expected in ((None, False), (False, False), (True, True)):
        stream = io.StringIO()
        with ProgressBar("digits", 2, stream, shown=shown) as bar:
            bar.advance()
        assert ("50 %" in stream.getvalue()) == expected
    terminal = Terminal()
    with ProgressBar("digits", 2, terminal, shown=False) as bar:
        bar.advance()
    assert terminal.getvalue() == ""


def test_it_counts_what_was_done_before_and_what_threads_do():
    terminal = Terminal()
    with ProgressBar("digits", 4200, terminal, n_done=200) as bar:
        run_threads(*[lambda: [bar.advance() for _ in range(1000)]] * 4)
    assert terminal.getvalue().split("\r")[-3].endswith("100 %")
