"""fastbatch.torch: a Dataset and a DataLoader of torch's, with native batches."""

import pickle
from collections import namedtuple

import numpy as np
import pytest

import fastbatch as fb

torch = pytest.importorskip("torch")
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset  # noqa: E402

import fastbatch.torch as ours  # noqa: E402
from programs import SANITIZED  # noqa: E402

N = 100
X, Y = torch.arange(3.0 * N).reshape(N, 3), torch.arange(N)
Pair = namedtuple("Pair", ["x", "y"])


def loader_of(dataset, **options):
    return DataLoader(dataset, 16, collate_fn=ours.BatchDataset.collate, **options)


def assert_equal_batches(mine, theirs):
    for left, right in zip(mine, theirs, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("options", [{}, {"shuffle": True}, {"drop_last": True}], ids=str)
@pytest.mark.parametrize("num_workers", [0, 2])
def test_its_batches_are_those_of_a_tensor_dataset(options, num_workers):
    dataset = ours.BatchDataset((X, Y))
    seeds = [torch.Generator().manual_seed(5) for _ in range(2)]
    if num_workers and SANITIZED:
        options = {**options, "multiprocessing_context": "spawn"}  # a forked child may find the allocator locked
    mine = loader_of(dataset, generator=seeds[0], num_workers=num_workers, **options)
    options.pop("multiprocessing_context", None)
    theirs = DataLoader(TensorDataset(X, Y), 16, generator=seeds[1], **options)
    assert len(dataset) == N
    for _ in range(2):
        assert_equal_batches(mine, theirs)


def test_it_takes_workers_that_are_spawned():
    dataset = ours.BatchDataset((X, Y))
    mine = loader_of(dataset, num_workers=1, multiprocessing_context="spawn")
    assert_equal_batches(mine, DataLoader(TensorDataset(X, Y), 16))


def test_one_row_is_one_row():
    dataset = ours.BatchDataset({"x": X, "y": Pair(Y, Y)})
    assert torch.equal(dataset[7]["x"], X[7])
    assert dataset[-1]["y"].x == N - 1
    with pytest.raises(IndexError):
        dataset[N]
    assert dataset[3]["y"].y == 3  # and goes on


def test_it_takes_what_a_loader_takes():
    batch = ours.BatchDataset(TensorDataset(X, Y)).__getitems__([3, 1])
    assert torch.equal(batch[0], X[[3, 1]])
    batch = ours.BatchDataset(np.arange(5)).__getitems__(torch.tensor([4, 0]))
    assert batch.tolist() == [4, 0]
    assert isinstance(ours.BatchDataset(X, output="numpy").__getitems__([0]), np.ndarray)


def test_batches_are_the_callers():
    dataset = ours.BatchDataset((X,))
    kept = [dataset.__getitems__([i]) for i in range(50)]
    assert all(torch.equal(batch[0][0], X[i]) for i, batch in enumerate(kept))


def test_batch_samplers_of_torch():
    sampler = BatchSampler(RandomSampler(range(N), generator=torch.Generator().manual_seed(1)), 9, drop_last=False)
    mine = DataLoader(ours.BatchDataset((X, Y)), batch_sampler=sampler, collate_fn=ours.BatchDataset.collate)
    rows = torch.cat([labels for _, labels in mine])
    assert torch.equal(rows.sort().values, Y)


# ---------------------------------------------------------------------------------------------------------------------
# as_dataloader
# ---------------------------------------------------------------------------------------------------------------------


def test_a_dataloader_of_a_loader():
    loader = fb.Loader((X, Y), 16, shuffle=True, seed=1)
    dataloader = ours.as_dataloader(loader)
    assert isinstance(dataloader, DataLoader)
    assert len(dataloader) == 7
    expected = fb.Loader((X, Y), 16, shuffle=True, seed=1)
    for _ in range(3):
        assert_equal_batches(dataloader, expected)
    dataloader.dataset.set_epoch(0)
    expected.set_epoch(0)
    assert_equal_batches(dataloader, expected)
    assert dataloader.dataset.loader is loader
    with pytest.raises(TypeError, match=r"loader must be a fastbatch.Loader, got list"):
        ours.as_dataloader([])


def test_its_state_is_that_of_the_loader():
    loader = fb.Loader((X, Y), 16, shuffle=True, seed=1)
    iterator = iter(ours.as_dataloader(loader))
    for _ in range(3):
        next(iterator)
    again = fb.Loader((X, Y), 16, shuffle=True)
    again.load_state_dict(loader.state_dict())
    assert_equal_batches(ours.as_dataloader(again), iterator)


def test_datasets_pickle_by_path(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(10_000))
    dataset = ours.BatchDataset(np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert len(pickle.dumps(dataset)) < 2000
    assert pickle.loads(pickle.dumps(dataset)).__getitems__([5]).tolist() == [5]
