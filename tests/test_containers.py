"""Files and torch's datasets as data; other libraries' containers are looked at in integration/."""

import pickle

import numpy as np
import pytest

import fastbatch as fb

N = 60
X, Y = np.arange(3.0 * N).reshape(N, 3), np.arange(N)


def check(data, x, y):
    """A shuffled epoch over pairs."""
    n_seen = 0
    for features, labels in fb.Loader(data, 7, shuffle=True, seed=0):
        places = [y.tolist().index(label) for label in labels.tolist()]
        assert np.array_equal(features, x[places])
        n_seen += len(labels)
    assert n_seen == len(y)


# ---------------------------------------------------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_paths_of_npy_files_are_mapped(tmp_path, kind):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    data = (kind(tmp_path / "x.npy"), kind(tmp_path / "y.npy"))
    check(data, X, Y)
    loader = fb.Loader(data, 4)
    assert loader.explain().count("from a mapped file") == 2
    assert len(pickle.dumps(loader)) < 3000
    check(pickle.loads(pickle.dumps(loader))._arguments["data"], X, Y)


def test_a_path_of_an_npz_file_is_a_dict(tmp_path):
    np.savez(tmp_path / "both.npz", x=X, y=Y)
    (batch,) = fb.Loader(tmp_path / "both.npz", N)
    assert np.array_equal(batch["x"], X)
    with np.load(tmp_path / "both.npz") as arrays:
        (batch,) = fb.Loader(arrays, N)
    assert np.array_equal(batch["y"], Y)


def test_other_paths_are_refused(tmp_path):
    with pytest.raises(TypeError, match=r"data\['x'\] must be an array, .*, got str"):
        fb.Loader({"x": "x.csv"}, 4)
    with pytest.raises(FileNotFoundError):
        fb.Loader(tmp_path / "nowhere.npy", 4)


# ---------------------------------------------------------------------------------------------------------------------
# torch
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def pairs(torch):
    return torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))


def test_tensor_datasets_and_their_subsets_are_not_copied(torch, pairs):
    check(pairs, X, Y)
    rows = [5, 3, 40, 41, 59, 0]
    subset = torch.utils.data.Subset(pairs, rows)
    check(subset, X[rows], Y[rows])
    of_subset = torch.utils.data.Subset(subset, [4, 1, 0])
    check(of_subset, X[[59, 3, 5]], Y[[59, 3, 5]])
    train, test = torch.utils.data.random_split(pairs, [40, 20])
    check(train, X[train.indices], Y[train.indices])
    check(test, X[test.indices], Y[test.indices])
    loader = fb.Loader(of_subset, 3)
    pairs.tensors[1][59] = 1000
    ((_, labels),) = loader
    assert labels.tolist() == [1000, 3, 5]
    assert isinstance(labels, torch.Tensor)
    assert "copied" not in loader.explain()


def test_concatenated_datasets_are_not_copied(torch, pairs):
    other = torch.utils.data.TensorDataset(torch.from_numpy(X + 1000), torch.from_numpy(Y + 1000))
    both = torch.utils.data.ConcatDataset([pairs, other])
    check(both, np.concatenate([X, X + 1000]), np.concatenate([Y, Y + 1000]))
    assert "copied" not in fb.Loader(both, 4).explain()
    rows = [3, 70, 60, 2]
    check(torch.utils.data.Subset(both, rows), np.concatenate([X, X + 1000])[rows], np.concatenate([Y, Y + 1000])[rows])
    with_subset = torch.utils.data.ConcatDataset([torch.utils.data.Subset(pairs, [1, 2]), other])
    check(with_subset, np.concatenate([X[[1, 2]], X + 1000]), np.concatenate([Y[[1, 2]], Y + 1000]))
    assert fb.Loader(with_subset, 4).explain().count("copied once") == 2  # of the two rows


def test_subsets_work_with_everything(torch, pairs):
    rows = np.random.default_rng(0).permutation(N)[:41]
    subset = torch.utils.data.Subset(pairs, rows.tolist())
    whole = fb.Loader((X[rows], Y[rows]), 5, shuffle=True, seed=3, rows=True)
    for threads in (0, 2):
        loader = fb.Loader(subset, 5, shuffle=True, seed=3, rows=True, threads=threads)
        for mine, theirs in zip(loader, whole, strict=True):
            assert all(np.array_equal(left, right) for left, right in zip(mine, theirs, strict=True))
        whole.set_epoch(0)
    long = torch.utils.data.Subset(torch.utils.data.TensorDataset(torch.arange(5000)), list(range(4999, -1, -2)))
    (batch,) = fb.Loader(long, 2500)
    assert np.array_equal(batch[0], np.arange(4999, -1, -2))
    with pytest.raises(IndexError):
        fb.Loader(torch.utils.data.Subset(pairs, [60]), 5)


def test_datasets_of_single_samples_are_refused(torch):
    class Samples(torch.utils.data.Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return torch.zeros(2)

    with pytest.raises(
        TypeError, match=r"data must be an array, or hold arrays, got Samples: fastbatch\.materialize reads it once"
    ):
        fb.Loader(Samples(), 2)
