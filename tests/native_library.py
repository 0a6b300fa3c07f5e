"""Parts of the C++ layer as a library for ctypes, with functions of tests/native around them."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CSRC = Path(__file__).resolve().parents[1] / "src" / "fastbatch" / "_native" / "csrc"
COMPILER = shutil.which("g++") or shutil.which("c++")

needed = [
    pytest.mark.skipif(not CSRC.is_dir(), reason="needs the source tree"),
    pytest.mark.skipif(COMPILER is None or sys.platform == "win32", reason="needs a C++ compiler"),
]


def build(folder, name, parts):
    """tests/native/<name>.cpp with the files of these parts of csrc."""
    path = folder / f"lib{name}.so"
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # a sanitizer's library
    sources = [Path(__file__).with_name("native") / f"{name}.cpp", *(CSRC / f"{part}.cpp" for part in parts)]
    options = ["-std=c++17", "-O1", "-shared", "-fPIC", "-pthread"]
    subprocess.run([COMPILER, *options, f"-I{CSRC}", *map(str, sources), "-o", str(path)], check=True, env=environment)
    return ctypes.CDLL(str(path))
