"""Programs for tests of what may crash, hang or end a process: each in a process of its own, with a time limit."""

import os
import subprocess
import sys

import pytest

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
