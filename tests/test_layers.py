"""Imports point downwards only: each module belongs to a layer and may import from lower layers alone."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "fastbatch"

# The first part of a module's name below the package -> its layer, lowest first.
LAYERS = {
    "_native": 0,
    "arguments": 0,
    "cores": 1,
    "mapped_files": 1,
    "lifetimes": 1,
    "crew": 1,
    "batching": 1,
    "ranks": 1,
    "concatenation": 1,
    "pacing": 1,
    "progress": 1,
    "spans": 1,
    "picking": 1,
    "native_column": 2,  # knows what delivery calls bfloat16
    "delivery": 1,
    "seeding": 1,
    "samplers": 2,
    "ragged": 2,  # takes what delivery does
    "feeding": 2,
    "planned": 2,
    "transforms": 3,
    "user_samplers": 3,
    "packed": 3,
    "packing": 4,
    "containers": 3,  # opens them into what delivery takes
    "columns": 4,
    "workers": 2,
    "mapping": 3,
    "stats": 3,
    "state": 4,
    "pickling": 5,
    "epochs": 5,
    "explaining": 5,
    "describing": 5,
    "gathering": 5,
    "materializing": 4,
    "loader": 6,
    "torch": 7,
    "keras": 7,
    "__init__": 8,
    "demo": 9,
    "cli": 10,
    "__main__": 11,
}

STUB_ONLY = {"typing_extensions"}  # which type checkers bring along, and nobody imports

CYTHON_IMPORT = re.compile(r"^\s*from\s+(?P<source>[\w.]+)\s+c?import\s+(?P<names>.+)|^\s*c?import\s+(?P<modules>.+)")


def module_name(path):
    """``src/fastbatch/delivery/numpy.py`` -> ``fastbatch.delivery.numpy``; a package keeps its ``__init__``."""
    return ".".join(["fastbatch", *path.relative_to(SOURCE).with_suffix("").parts])


def absolute(source, level, importer):
    """The module that ``from <level dots><source> import`` names inside `importer`."""
    if not level:
        return source
    parent = importer.split(".")[:-level]
    return ".".join(parent + ([source] if source else []))


def expand(source, names):
    """The modules that ``from source import names`` may mean: a name is a module of its own where the file exists."""
    if source != "fastbatch" and not source.startswith("fastbatch."):
        return [source]
    folder = SOURCE.joinpath(*source.split(".")[1:])
    modules = [f"{source}.{name}" for name in names if is_module(folder / name)]
    return modules + [source] * (len(modules) < len(names))


def is_module(path):
    return path.is_dir() or any(path.with_suffix(suffix).exists() for suffix in (".py", ".pyx", ".pxd"))


def python_imports(text, importer):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from expand(absolute(node.module, node.level, importer), [alias.name for alias in node.names])


def cython_imports(text, importer):
    # One logical line per statement: join what parentheses and backslashes continue, drop comments.
    text = re.sub(r"#.*", "", text)
    text = re.sub(r"\\\n|\(([^()]*)\)", lambda found: (found[1] or "").replace("\n", " "), text)
    for line in text.splitlines():
        found = CYTHON_IMPORT.match(line)
        if not found:
            continue
        names = [name.split()[0] for name in (found["names"] or found["modules"]).split(",") if name.strip()]
        if found["modules"]:
            yield from names
        else:
            dots = len(found["source"]) - len(found["source"].lstrip("."))
            yield from expand(absolute(found["source"].lstrip("."), dots, importer), names)


def imports(path):
    """Every module that a source file imports, at any depth of the file."""
    read = cython_imports if path.suffix in (".pyx", ".pxd") else python_imports
    return set(read(path.read_text(encoding="utf-8"), module_name(path)))


def part(module):
    """The first part of a module's name below the package: ``delivery`` of ``fastbatch.delivery.numpy``."""
    return module.split(".")[1] if "." in module else "__init__"


def layer(module):
    assert part(module) in LAYERS, f"{module} has no layer: give it one in LAYERS"
    return LAYERS[part(module)]


def upward(importer, imported):
    """Whether `importer` may not import `imported`."""
    if imported.split(".")[0] != "fastbatch":
        return False
    if part(importer) == part(imported):
        return False  # inside one package
    return layer(imported) >= layer(importer)


def source_files():
    return sorted(path for suffix in ("py", "pyi", "pyx", "pxd") for path in SOURCE.rglob(f"*.{suffix}"))


@pytest.mark.skipif(not SOURCE.is_dir(), reason="needs the source tree")
def test_imports_point_downwards_only():
    files = source_files()
    assert len(files) > 10, "the source tree was not found"
    wrong = [
        f"{module_name(path)} imports {imported}"
        for path in files
        for imported in sorted(imports(path))
        if upward(module_name(path), imported)
    ]
    assert not wrong, "imports that point upwards or sideways:\n" + "\n".join(wrong)


@pytest.mark.skipif(not SOURCE.is_dir(), reason="needs the source tree")
def test_native_code_imports_only_numpy_cython_libc_and_the_standard_library():
    allowed = {"fastbatch", "numpy", "cython", "cpython", "libc", "libcpp", *sys.stdlib_module_names}
    wrong = [
        f"{module_name(path)} imports {imported}"
        for path in source_files()
        if module_name(path).startswith("fastbatch._native")
        for imported in sorted(imports(path))
        if imported.split(".")[0] not in allowed | (STUB_ONLY if path.suffix == ".pyi" else set())
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("importer", "imported", "expected"),
    [
        ("fastbatch.loader", "fastbatch.samplers", False),
        ("fastbatch.samplers", "fastbatch._native.shuffle", False),
        ("fastbatch._native.engine", "fastbatch._native.take", False),
        ("fastbatch.delivery.torch", "fastbatch.delivery.numpy", False),
        ("fastbatch.loader", "numpy", False),
        ("fastbatch.samplers", "fastbatch.columns", True),
        ("fastbatch.samplers", "fastbatch.loader", True),
        ("fastbatch.samplers", "fastbatch", True),
        ("fastbatch._native.take", "fastbatch.seeding", True),
        ("fastbatch.__init__", "fastbatch.cli", True),
    ],
)
def test_the_rule_itself(importer, imported, expected):
    assert upward(importer, imported) is expected


def test_cython_imports_are_seen():
    text = (
        "# from fastbatch import nothing\n"
        "cimport numpy as cnp\n"
        "from libc.stdint cimport (int64_t,\n    uint32_t)\n"
        "from fastbatch.loader import Loader\n"
        "from ..seeding import derive\n"
        "def lazily():\n    from fastbatch import Loader\n"
    )
    found = set(cython_imports(text, "fastbatch._native.take"))
    assert found == {"numpy", "libc.stdint", "fastbatch.loader", "fastbatch.seeding", "fastbatch"}


def test_import_loads_no_framework_and_no_program():
    code = "import sys, fastbatch; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "fastbatch.loader" in loaded
    frameworks = {"torch", "jax", "keras", "tensorflow", "pandas", "matplotlib", "sklearn"}
    assert not loaded & (frameworks | {"fastbatch.demo", "fastbatch.cli"})
