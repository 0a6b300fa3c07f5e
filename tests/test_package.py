"""The installed package: its version, its types, and nothing in it that belongs to the build."""

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import fastbatch

PACKAGE = Path(fastbatch.__file__).parent
CHECKOUT = Path(__file__).resolve().parents[1]


def is_editable():
    origin = json.loads(metadata.distribution("fastbatch").read_text("direct_url.json") or "{}")
    return origin.get("dir_info", {}).get("editable", False)


def test_version_is_the_one_of_the_metadata():
    assert fastbatch.__version__ == metadata.version("fastbatch")


def test_changelog_has_an_entry_for_the_version():
    changelog = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(fastbatch.__version__)}\]", changelog, re.MULTILINE)


def test_everything_exported_exists_and_is_documented():
    assert len(fastbatch.__all__) == len(set(fastbatch.__all__))
    for name in fastbatch.__all__:
        assert getattr(fastbatch, name).__doc__, f"{name} has no docstring"


def test_numpy_is_the_only_requirement():
    required = [line for line in metadata.requires("fastbatch") if "extra ==" not in line]
    assert len(required) == 1
    assert required[0].startswith("numpy")


def test_it_is_typed():
    assert (PACKAGE / "py.typed").is_file()


def test_every_compiled_module_has_a_stub():
    compiled = [path for path in (PACKAGE / "_native").iterdir() if path.suffix in (".so", ".pyd")]
    assert compiled
    assert not [path for path in compiled if not path.with_name(path.name.split(".")[0] + ".pyi").is_file()]


def test_no_generated_c_lies_in_the_package():
    stray = [path for suffix in ("c", "cpp") for path in PACKAGE.rglob(f"*.{suffix}") if path.parent.name != "csrc"]
    assert not stray


@pytest.mark.skipif(is_editable(), reason="an editable install is the source tree")
def test_no_sources_are_installed():
    suffixes = {".c", ".cpp", ".h", ".hpp", ".pyx", ".pxd", ".o"}
    found = {str(path.relative_to(PACKAGE).as_posix()) for path in PACKAGE.rglob("*") if path.suffix in suffixes}
    assert found == {"include/fastbatch.h", "__init__.pxd"}  # which are for compilers of users


def test_the_console_script_is_declared():
    (script,) = metadata.distribution("fastbatch").entry_points.select(group="console_scripts", name="fastbatch")
    assert callable(script.load())


def test_python_dash_m_answers_help():
    done = subprocess.run([sys.executable, "-m", "fastbatch", "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout
