"""fb.materialize: a dataset of single samples, read once."""

import json
import re
import signal
from collections import namedtuple

import numpy as np
import pytest

import fastbatch as fb
from programs import assert_quiet, run_program

Sample = namedtuple("Sample", ["image", "label"])


class Samples:
    """Image i is full of i; counts who was asked for."""

    def __init__(self, n, fails=()):
        self.n, self.fails, self.asked = n, set(fails), []

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        self.asked.append(i)
        if i in self.fails:
            raise OSError("bad sector")
        return Sample(np.full((2, 3), i, np.float32), {"class": i % 5, "name": np.int16(i)})


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("n", [1, 256, 1000])
@pytest.mark.parametrize("in_folder", [False, True])
def test_samples_become_arrays(tmp_path, n, threads, in_folder):
    data = fb.materialize(Samples(n), tmp_path / "kept" if in_folder else None, threads=threads)
    assert type(data) is Sample
    assert data.image.dtype == np.float32
    assert data.label["name"].dtype == np.int16
    assert np.array_equal(data.image, np.broadcast_to(np.arange(n)[:, None, None], (n, 2, 3)))
    assert np.array_equal(data.label["class"], np.arange(n) % 5)
    for batch in fb.Loader(data, 64, shuffle=True, seed=0, rows=True):
        assert np.array_equal(batch["image"][:, 0, 0], batch["rows"])
    if in_folder:
        assert "from a mapped file" in fb.Loader(data, 4).explain()
        again = Samples(n)
        assert np.array_equal(fb.materialize(again, tmp_path / "kept").image, data.image)
        assert again.asked == [0]  # to see whether it is the same


def test_what_was_read_before_an_error_is_kept(tmp_path):
    broken = Samples(1000, fails=[600])
    with pytest.raises(OSError, match="bad sector") as caught:
        fb.materialize(broken, tmp_path)
    assert caught.value.__notes__ == ["raised by sample 600"]
    mended = Samples(1000)
    data = fb.materialize(mended, tmp_path)
    assert np.array_equal(data.image[:, 0, 0], np.arange(1000))
    assert set(mended.asked) >= {0, *range(512, 768)}
    assert not set(mended.asked) & set(range(1, 512))


KILLED = """
import os, signal, sys
import numpy as np
import fastbatch as fb
from fastbatch import materializing

materializing.SAVE_SECONDS = -1.0

class Samples:
    def __len__(self):
        return 2000

    def __getitem__(self, i):
        if i == 1500:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.array(i)

fb.materialize(Samples(), sys.argv[1])
"""


def test_a_process_that_was_killed_is_gone_on_from(tmp_path):
    done = run_program(KILLED, tmp_path)
    assert done.returncode == -signal.SIGKILL
    assert json.loads((tmp_path / "progress.json").read_text())["done"] == [0, 256, 512, 768, 1024]
    asked = []

    class Rest:
        def __len__(self):
            return 2000

        def __getitem__(self, i):
            asked.append(i)
            return np.array(i)

    assert np.array_equal(fb.materialize(Rest(), tmp_path), np.arange(2000))
    assert asked == [0, *range(1280, 2000)]


def test_it_says_how_far_it_has_got():
    program = "import fastbatch as fb; fb.materialize([1.0] * 1000, progress=True)"
    done = run_program(program)
    assert re.findall(r"samples +\[#*-*\] +(\d+) %", done.stderr) == ["25", "51", "76", "100"]
    assert_quiet(run_program(program.replace("True", "False")))


@pytest.mark.parametrize(
    ("dataset", "error", "said"),
    [
        (iter([1]), TypeError, "dataset must have a length and samples by number, got list_iterator"),
        ([], ValueError, "dataset must have a sample at least"),
        ([np.zeros(2), np.zeros(3)], ValueError, r"sample 1 must be as sample 0, of shape \(2,\) and .*, got \(3,\)"),
        ([np.zeros(2), np.zeros(2, "f4")], ValueError, "sample 1 must be as sample 0, .* and float32"),
        ([(1, 2), (1, 2, 3)], ValueError, "sample 1 must have the structure of sample 0"),
        ([{"a": 1}, {"b": 1}], ValueError, "sample 1 must have the structure of sample 0"),
        ([object()], TypeError, "sample 0 must be an array"),
        ([np.array([None])], TypeError, "sample 0 must be of numbers, got dtype object"),
    ],
)
def test_what_cannot_be_is_refused(dataset, error, said):
    with pytest.raises(error, match=said):
        fb.materialize(dataset)


def test_a_folder_of_another_dataset_is_refused(tmp_path):
    fb.materialize([1.0] * 10, tmp_path)
    with pytest.raises(ValueError, match="holds another dataset"):
        fb.materialize([1.0] * 11, tmp_path)
    with pytest.raises(ValueError, match="holds another dataset"):
        fb.materialize([1] * 10, tmp_path)


def test_tensors_become_arrays():
    torch = pytest.importorskip("torch")

    class Tensors(torch.utils.data.Dataset):
        def __len__(self):
            return 20

        def __getitem__(self, i):
            return torch.full((3,), float(i)), i % 2

    x, y = fb.materialize(Tensors())
    assert np.array_equal(x[:, 1], np.arange(20))
    (batch,) = fb.Loader((x, y), 20, output="torch")
    assert isinstance(batch[0], torch.Tensor)
