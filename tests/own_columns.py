"""Functions for columns as users write them: in C, and the programs of docs/native_columns.md."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastbatch as fb

POINTER, WORD = ctypes.c_void_p, ctypes.c_uint64
TYPES = [ctypes.c_int64, POINTER, POINTER, ctypes.c_int64, POINTER, WORD, WORD, WORD]
COMPILER = shutil.which("cc") or shutil.which("gcc")

# What `echo` writes for each row.
TOLD = np.dtype([("row", "i8"), ("n", "i8"), ("seed", "u8"), ("epoch", "u8"), ("position", "u8"), ("state", "i8")])

# `wide` writes rows of so many numbers.
WIDTH = 128

SOURCE = r"""
#include <string.h>

#include "fastbatch.h"

#if FASTBATCH_FILL_VERSION != 1
#error
#endif

#define ARGUMENTS                                                                                                   \
    const void *state, const int64_t *rows, int64_t n, void *out, uint64_t seed, uint64_t epoch, uint64_t position

/* All that it is told. */
int64_t echo(ARGUMENTS) {
    struct { int64_t row, n; uint64_t seed, epoch, position; int64_t state; } *told = out;
    for (int64_t i = 0; i < n; ++i) {
        told[i].row = rows[i], told[i].n = n, told[i].seed = seed, told[i].epoch = epoch;
        told[i].position = position + (uint64_t)i;
        told[i].state = state != 0 ? *(const int64_t *)state : -1;
    }
    return n;
}

/* Rows of the state, an int32 table of three columns, doubled and a random bit added. */
int64_t noisy(ARGUMENTS) {
    const int32_t *table = state;
    int32_t *batch = out;
    for (int64_t i = 0; i < n; ++i)
        for (int j = 0; j < 3; ++j)
            batch[3 * i + j] = 2 * table[3 * rows[i] + j]
                + (int32_t)(fastbatch_random(seed, position + (uint64_t)i, (uint64_t)j) & 1);
    return n;
}

uint64_t bits(uint64_t seed, uint64_t position, uint64_t draw) { return fastbatch_random(seed, position, draw); }

/* The row number 128 times; rows where the state, flags, is not 0 are refused. */
int64_t wide(ARGUMENTS) {
    const char *flags = state;
    int64_t *batch = out;
    for (int64_t i = 0; i < n; ++i) {
        if (flags != 0 && flags[rows[i]]) return i;
        for (int j = 0; j < 128; ++j) *batch++ = rows[i];
    }
    return n;
}

/* Says what the state holds, whatever n is. */
int64_t says(ARGUMENTS) {
    return *(const int64_t *)state;
}

/* Nothing but zeros, rows of as many bytes as the state says. */
int64_t zeros(ARGUMENTS) {
    memset(out, 0, (size_t)(n * *(const int64_t *)state));
    return n;
}

int64_t copies(ARGUMENTS) {
    const char *table = state;
    char *batch = out;
    for (int64_t i = 0; i < n; ++i) batch[i] = table[rows[i]];
    return n;
}
"""


def compile_c(folder, source):
    """A library of C source, loaded."""
    if COMPILER is None or os.name != "posix":
        pytest.skip("needs a C compiler")
    (folder / "own.c").write_text(source)
    command = [COMPILER, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-shared", "-fPIC"]
    run_compiler([*command, "-I", fb.get_include(), "-o", folder / "libown.so", folder / "own.c"])
    return ctypes.CDLL(str(folder / "libown.so"))


def run_compiler(command):
    """Run it without a sanitizer."""
    subprocess.run(command, check=True, env={name: os.environ[name] for name in os.environ if name != "LD_PRELOAD"})


def address(function):
    return ctypes.cast(function, ctypes.c_void_p).value


def random_bits(seed, position, draw):
    """The twin of fastbatch_random."""
    word = (1 << 64) - 1

    def mix(bits):
        bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 & word
        bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB & word
        return bits ^ (bits >> 31)

    golden = 0x9E3779B97F4A7C15
    return mix(mix(seed + position * golden & word) + (draw + 1) * golden & word)


# ---------------------------------------------------------------------------------------------------------------------
# The programs of the page
# ---------------------------------------------------------------------------------------------------------------------

PAGE = Path(__file__).parent.parent / "docs" / "native_columns.md"

# What each needs.
PROGRAMS = {"ctypes": [], "cffi": ["cffi", "setuptools"], "cython": ["Cython", "setuptools"], "numba": ["numba"]}


def run_page(kind, folder):
    """What the page's program prints, once it is built as the page says."""
    page = PAGE.read_text(encoding="utf-8")
    for block in re.findall(r"^```\w+\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        if name := re.match(r"# (\w+\.\w+)\n", block):
            (folder / name[1]).write_text(block)
    if kind == "ctypes":
        (source,) = re.findall(r'^SOURCE = """\n(.*?)"""', page, re.DOTALL | re.MULTILINE)
        compile_c(folder, source)
        (folder / "libown.so").rename(folder / "libpixels.so")
    if kind == "cython":
        run([sys.executable, "setup.py", "build_ext", "--inplace"], folder)
    return run([sys.executable, f"with_{kind}.py"], folder)


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()
