"""The extension modules and their compile flags; all metadata is in pyproject.toml.

Switches, read from the environment:
    FASTBATCH_SANITIZE=address,undefined   build with these sanitizers
    FASTBATCH_DEBUG=1                      debug symbols, no optimisation
"""

import copy
import functools
import os
import re
import sys
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NATIVE = Path("src/fastbatch/_native")
SANITIZE = os.environ.get("FASTBATCH_SANITIZE", "")
DEBUG = os.environ.get("FASTBATCH_DEBUG", "") == "1"

ENGINE = [
    "fb_ahead.cpp",
    "fb_asking.cpp",
    "fb_cursor.cpp",
    "fb_draw.cpp",
    "fb_engine.cpp",
    "fb_pace.cpp",
    "fb_pool.cpp",
]

STANDARD = re.compile("[-/]std[:=]")

# Extension module -> the C and C++ files beside it.
EXTENSIONS = {
    "array": [],
    "signals": [],
    "simd": [],
    "random": ["fb_random.c"],
    "shuffle": ["fb_random.c", "fb_shuffle.c", "fb_scatter.c", "fb_permutation.c"],
    "permutation": ["fb_random.c", "fb_shuffle.c", "fb_scatter.c", "fb_permutation.c", "fb_sequential.c"],
    "take": ["fb_gather.c", "fb_index.c"],
    "sampler": [
        "fb_bijection.c",
        "fb_blocks.c",
        "fb_given.c",
        "fb_permutation.c",
        "fb_random.c",
        "fb_scatter.c",
        "fb_sequential.c",
        "fb_shuffle.c",
        "fb_shuffled.c",
        "fb_streamed.c",
        "fb_subset.c",
    ],
    "classes": [
        "fb_balanced.c",
        "fb_deal.c",
        "fb_passes.c",
        "fb_perclass.c",
        "fb_random.c",
        "fb_sequential.c",
        "fb_shuffle.c",
    ],
    "weighted": ["fb_alias.c", "fb_race.c", "fb_random.c", "fb_weighted.c"],
    "curriculum": ["fb_alias.c", "fb_curriculum.c", "fb_random.c"],
    "lengths": [
        "fb_bijection.c",
        "fb_bucketed.c",
        "fb_length_sort.c",
        "fb_permutation.c",
        "fb_random.c",
        "fb_scatter.c",
        "fb_sequential.c",
        "fb_shuffle.c",
        "fb_token_budget.c",
    ],
    "packing": ["fb_first_fit.c", "fb_length_sort.c", "fb_packed_rows.c"],
    "prioritized": ["fb_prioritized.cpp", "fb_random.c", "fb_sum_tree.c"],
    "column": ["fb_concat.c", "fb_gather.c", "fb_importance.c", "fb_indexed.c", "fb_joined.c", "fb_valid.c"],
    "cast": ["fb_cast.c", "fb_cast_column.c", "fb_one_hot.c"],
    "image": [
        "fb_cast.c",
        "fb_image.c",
        "fb_pixels.c",
        "fb_random.c",
        "fb_resize.c",
        "fb_resized.c",
        "fb_taps.c",
    ],
    "mix": ["fb_mix.c", "fb_random.c"],
    "moments": ["fb_moments.c"],
    "native": ["fb_native.c", "fb_random.c"],
    "runs": [],
    "ragged": ["fb_cast.c", "fb_ragged.c"],
    "resize": ["fb_resize.c", "fb_taps.c"],
    "structure": [],
    "engine": ENGINE,
    "batches": ENGINE,
    "shelf": ["fb_shelf.cpp"],
}
CPLUSPLUS = {"engine", "batches", "prioritized", "shelf"}

DIRECTIVES = {
    "language_level": 3,
    "binding": True,
    "embedsignature": False,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "show_performance_hints": True,
    "autotestdict": False,
    "auto_pickle": False,
}

# The C API of numpy 1.26, the declared floor, carries the number of 1.25.
MACROS = [("NPY_NO_DEPRECATED_API", "NPY_1_25_API_VERSION"), ("NPY_TARGET_VERSION", "NPY_1_25_API_VERSION")]


def compile_flags(language):
    if sys.platform == "win32":
        # Constexpr mutexes crash beside an older msvcp140.dll.
        return ["/O2", "/D_DISABLE_CONSTEXPR_MUTEX_CONSTRUCTOR", *compile_standard(language)]
    flags = ["-O0", "-g"] if DEBUG else ["-O3", "-g0"]
    if SANITIZE:
        flags = ["-O1", "-g", "-fno-omit-frame-pointer", f"-fsanitize={SANITIZE}", "-fno-sanitize-recover=all"]
    # Orders are integer work that must not depend on how a compiler fuses floating point.
    flags += ["-ffp-contract=off", "-fvisibility=hidden"]
    return flags + compile_standard(language)


def compile_standard(language):
    if sys.platform == "win32":
        return ["/std:c++17"] if language == "c++" else []
    return ["-std=c++17"] if language == "c++" else ["-std=c11"]


def link_flags():
    if sys.platform == "win32":
        return []
    return [f"-fsanitize={SANITIZE}"] if SANITIZE else []


def extension(name, sources):
    language = "c++" if name in CPLUSPLUS else "c"
    csrc = NATIVE / "csrc"
    return Extension(
        f"fastbatch._native.{name}",
        sources=[str(NATIVE / f"{name}.pyx")] + [str(csrc / source) for source in sources],
        depends=["setup.py", "src/fastbatch/include/fastbatch.h", *(str(path) for path in sorted(csrc.iterdir()))],
        include_dirs=[str(csrc), np.get_include()],
        define_macros=MACROS,
        extra_compile_args=compile_flags(language),
        extra_link_args=link_flags(),
        language=language,
    )


class separate_build_ext(build_ext):
    """Extensions share C files and are built at once: each keeps its object files in a folder of its own."""

    def build_extension(self, ext):
        own = copy.copy(self)
        own.build_temp = os.path.join(self.build_temp, ext.name)
        own.compiler = copy.copy(self.compiler)
        own.compiler.compile = functools.partial(compile_by_language, self.compiler)
        super(separate_build_ext, own).build_extension(ext)


def compile_by_language(compiler, sources, *, extra_postargs=(), **options):
    """The C files of a C++ extension by the flags of C: compilers refuse those of C++ for them."""
    objects = []
    for suffix, language in ((".c", "c"), (".cpp", "c++")):
        of_language = [source for source in sources if source.endswith(suffix)]
        flags = [flag for flag in extra_postargs if not STANDARD.match(flag)] + compile_standard(language)
        objects += compiler.compile(of_language, extra_postargs=flags, **options)
    return objects


setup(
    cmdclass={"build_ext": separate_build_ext},
    ext_modules=cythonize(
        [extension(name, sources) for name, sources in EXTENSIONS.items()],
        build_dir="build/cython",  # generated C depends on the numpy it was made with: never in src/, never shipped
        compiler_directives=DIRECTIVES,
        nthreads=0,
    ),
    options={"build_ext": {"parallel": os.cpu_count()}},
)
