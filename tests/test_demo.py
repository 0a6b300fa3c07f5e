"""The bundled digits, ``fastbatch demo`` and the command line around it."""

import re
import subprocess
import sys
from importlib.metadata import entry_points

import numpy as np
import pytest

import fastbatch as fb
from fastbatch import cli, demo


def run_python(*arguments, cwd):
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300)


# -- the data --------------------------------------------------------------------------------------------------------


def test_digits_have_the_shape_type_and_range_that_the_licence_file_says():
    images, labels = demo.load_digits()
    assert images.shape == (1797, 64)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)
    assert labels.dtype == np.int64
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_equal_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    expected = datasets.load_digits()
    images, labels = demo.load_digits()
    np.testing.assert_array_equal(images * 16, expected.data)
    np.testing.assert_array_equal(labels, expected.target)


# -- the demo --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What ``python -m fastbatch demo --epochs 2`` prints when it does not write to a terminal."""
    result = run_python("-m", "fastbatch", "demo", "--epochs", "2", cwd=tmp_path_factory.mktemp("demo"))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""  # no progress bar outside a terminal
    return result.stdout


def trainings(printed):
    """(images, imbalance, % waiting, % accuracy) of the three trainings."""
    pattern = r"^(?:all|digits 5-9 rare) +(\d+)  (?:shuffled|class-balanced) +(\d+) +([\d.]+)% +([\d.]+)%$"
    found = re.findall(pattern, printed, flags=re.MULTILINE)
    assert len(found) == 3
    return [tuple(map(float, training)) for training in found]


def test_demo_learns_the_digits(printed):
    (n_all, _, _, accuracy), (n_thin, _, _, thin_accuracy), (n_balanced, _, _, balanced_accuracy) = trainings(printed)
    assert n_all == 1797 - 360
    assert n_thin == n_balanced < 900
    assert accuracy > 85  # two epochs; chance is 10
    assert thin_accuracy > 30
    assert balanced_accuracy > 75


def test_demo_shows_that_balanced_batches_are_balanced(printed):
    (_, imbalance, _, _), (_, thin_imbalance, _, _), (_, balanced_imbalance, _, _) = trainings(printed)
    assert balanced_imbalance == 1
    assert imbalance > 2
    assert thin_imbalance > 2


def test_demo_waits_for_some_share_of_the_time(printed):
    assert all(0 <= waiting < 100 for _, _, waiting, _ in trainings(printed))


def test_demo_prints_a_table_of_rates(printed):
    pattern = r"^([\d,]+) x (\d+) B \+ label, batch (\d+) +([\d,]+) +([\d,]+) +([\d.]+)x$"
    digits, table = re.findall(pattern, printed, flags=re.MULTILINE)
    assert digits[:3] == ("1,797", "256", "32")
    assert table[:3] == ("1,000,000", "64", "256")
    for *_, numpy_rate, fastbatch_rate, ratio in (digits, table):
        numpy_rate, fastbatch_rate = int(numpy_rate.replace(",", "")), int(fastbatch_rate.replace(",", ""))
        assert numpy_rate > 0
        assert fastbatch_rate / numpy_rate == pytest.approx(float(ratio), abs=0.06)


def test_thin_keeps_all_of_0_to_4_and_ten_each_of_5_to_9():
    labels = np.repeat(np.arange(10), 30)[::-1].copy()
    assert np.bincount(labels[demo.thin(labels)]).tolist() == [30] * 5 + [10] * 5


def test_check_epoch_accepts_a_whole_epoch_and_finds_a_lost_row():
    x, y = demo.load_digits()
    demo.check_epoch(fb.Loader((x, y), 32, shuffle=True, seed=0), x, y)
    with pytest.raises(RuntimeError, match="do not add up to the data"):
        demo.check_epoch([(x[1:], np.where(y == 0, 1, y)[1:])], x, y)
    with pytest.raises(RuntimeError, match="do not add up to the data"):
        demo.check_epoch(fb.Loader((x, y), 32, shuffle=True, seed=0, drop_last=True), x, y)


# -- the command line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--epochs", "0"], "argument --epochs: must be at least 1, got 0"),
        (["demo", "--epochs", "-3"], "argument --epochs: must be at least 1, got -3"),
        (["demo", "--batch-size", "0"], "argument --batch-size: must be at least 1, got 0"),
        (["demo", "--batch-size", "2.5"], "argument --batch-size: must be an integer, got '2.5'"),
        (["demo", "--seed", "-1"], "argument --seed: must be at least 0, got -1"),
        (["train"], "argument command: invalid choice: 'train'"),
        ([], "the following arguments are required: command"),
    ],
)
def test_bad_arguments_are_refused_with_rule_and_value(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_options_reach_the_demo(monkeypatch):
    calls = []
    monkeypatch.setattr(demo, "run", lambda **options: calls.append(options))
    assert cli.main(["demo"]) == 0
    assert cli.main(["demo", "--epochs", "3", "--batch-size", "64", "--seed", "7"]) == 0
    assert calls == [{"epochs": 20, "batch_size": 32, "seed": 0}, {"epochs": 3, "batch_size": 64, "seed": 7}]


def test_interrupt_ends_the_demo_with_the_status_of_ctrl_c(monkeypatch):
    def interrupted(**options):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupted)
    assert cli.main(["demo"]) == 130


def test_console_script_is_the_command_line():
    (script,) = entry_points(group="console_scripts", name="fastbatch")
    assert script.load() is cli.main


def test_version_of_python_m_fastbatch(tmp_path):
    result = run_python("-m", "fastbatch", "--version", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"fastbatch {fb.__version__}\n"


def test_importing_fastbatch_imports_neither_the_demo_nor_the_command_line(tmp_path):
    program = "import sys, fastbatch; print([m for m in sys.modules if m in ('fastbatch.demo', 'fastbatch.cli')])"
    result = run_python("-c", program, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "[]\n"
