"""Programs for tests of what may crash, hang or end a process: each in a process of its own, with a time limit.

The examples are run as well, as a user would run them.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

# Sanitizers reserve more memory than any limit leaves, and report what other tests do not care about.
SANITIZED = any(name in os.environ for name in ("ASAN_OPTIONS", "TSAN_OPTIONS"))

# The lock of a sanitizer's allocator, unlike that of the C library's, may be held for ever in a forked child.
forks_with_threads = pytest.mark.skipif(
    SANITIZED or not hasattr(os, "fork"), reason="this platform does not fork, or not with threads at work"
)


def run_program(program, *arguments, timeout=120, **environment):
    """Run a Python program, and return what became of it. Its tracebacks are written when it crashes."""
    # From Python 3.12 on a fork of a process with threads is warned of, NumPy's own included.
    quiet = ["-W", "ignore:This process:DeprecationWarning"]
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", *quiet, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment},
    )


def assert_quiet(done, output=""):
    """Nothing went wrong, and nothing was said beyond `output`."""
    assert (done.returncode, done.stderr, done.stdout.strip()) == (0, "", output)


def run_example(name, cwd, *, is_quiet=True, timeout=300):
    """What the example prints. Nothing else is written, unless by a framework that cannot be quiet."""
    command = [sys.executable, str(EXAMPLES / name)]
    # Such small models gain little by more threads, and lose much where cores are shared.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, env=environment)
    assert result.returncode == 0, result.stderr
    if is_quiet:
        assert result.stderr == ""
    return result.stdout


def numbers(pattern, text):
    """The groups of the one place in `text` that matches, as floats."""
    (found,) = re.finditer(pattern, text)
    return [float(group) for group in found.groups()]
