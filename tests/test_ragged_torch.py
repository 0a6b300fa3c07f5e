"""Rows of different lengths and PyTorch: nested tensors, what takes lengths, memory that torch lends."""

import functools
import pickle

import numpy as np
import pytest

import fastbatch as fb
from fastbatch.delivery.destination import Destination
from reference_ragged import padded

torch = pytest.importorskip("torch")
from fastbatch.delivery import pinned  # noqa: E402
from fastbatch.delivery.cuda import CudaCarrier  # noqa: E402
from fastbatch.torch import BatchDataset  # noqa: E402

LENGTHS = np.random.default_rng(0).integers(1, 30, 50)
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
VALUES = torch.arange(1, OFFSETS[-1] * 2 + 1, dtype=torch.float32).reshape(-1, 2)
ROWS = [VALUES[begin:end] for begin, end in zip(OFFSETS[:-1].tolist(), OFFSETS[1:].tolist(), strict=True)]


def assert_batch(batch, rows, **options):
    """Tensors with these rows of VALUES."""
    expected = padded([ROWS[row].numpy() for row in rows], VALUES.numpy(), **options)
    for mine, theirs in zip(batch, expected, strict=True):
        assert isinstance(mine, torch.Tensor)
        assert torch.equal(mine, torch.from_numpy(theirs))


def assert_epoch(data, **options):
    loader = fb.Loader({"x": data}, 7, shuffle=True, seed=0, rows=True)
    for batch in loader:
        assert_batch(batch["x"], batch["rows"], **options)
    return loader


# ---------------------------------------------------------------------------------------------------------------------
# What it is made of
# ---------------------------------------------------------------------------------------------------------------------


def test_tensors_with_offsets_and_lists_of_tensors():
    assert_epoch(fb.Ragged(VALUES, torch.from_numpy(OFFSETS), multiple=4), multiple=4)
    loader = assert_epoch(fb.Ragged(ROWS, side="left", pad=-1), side="left", pad=-1)
    assert "it is a list of arrays" in loader.explain()
    assert_epoch(fb.Ragged(VALUES.clone().requires_grad_(), OFFSETS))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.jagged, torch.strided], ids=str)
def test_nested_tensors_are_not_copied(layout):
    nested = torch.nested.nested_tensor(ROWS, layout=layout)
    ragged = fb.Ragged(nested, pad=7)
    loader = assert_epoch(ragged, pad=7)
    assert "copied" not in loader.explain()
    nested.unbind()[3][0] = 1000
    (batch,) = fb.Loader(ragged, 50)
    assert batch.values[3, 0].tolist() == [1000, 1000]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.jagged, torch.strided], ids=str)
def test_nested_tensors_are_columns_by_themselves(layout):
    assert_epoch(torch.nested.nested_tensor(ROWS, layout=layout))


def test_nested_tensors_in_subsets_of_datasets():
    nested, order = torch.nested.nested_tensor(ROWS, layout=torch.jagged), [5, 3, 3, 40]
    dataset = torch.utils.data.Subset(torch.utils.data.TensorDataset(nested, torch.arange(50)), order)
    ((tokens, labels),) = fb.Loader(dataset, 4)
    assert labels.tolist() == order
    assert_batch(tokens, order)


def test_rows_of_a_longer_tensor_need_not_follow_each_other():
    table = torch.arange(20).reshape(2, 10)
    nested = torch.nested.narrow(table, 1, torch.tensor([1, 2]), torch.tensor([3, 4]), layout=torch.jagged)
    (batch,) = fb.Loader(fb.Ragged(nested), 2)
    assert batch.values.tolist() == [[1, 2, 3, 0], [12, 13, 14, 15]]
    assert batch.lengths.tolist() == [3, 4]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_that_are_no_rows_are_refused():
    nested = torch.nested.nested_tensor(ROWS, layout=torch.jagged)
    with pytest.raises(
        ValueError, match="values must have its rows' lengths as axis 1, got a nested tensor that is tra"
    ):
        fb.Ragged(nested.transpose(1, 2))
    mixed = torch.nested.nested_tensor([torch.ones(3, 2), torch.ones(5, 4)], layout=torch.strided)
    with pytest.raises(ValueError, match=r"data\['x'\] must have elements of one kind, got float32 \(4,\) in row 1"):
        fb.Loader({"x": mixed}, 2)
    with pytest.raises(TypeError, match=r"values must come with offsets, .* got Tensor"):
        fb.Ragged(VALUES)


@pytest.mark.parametrize("pad", [0, -1.5, float("inf"), float("nan"), 1e30])
def test_bfloat16(pad):
    values = VALUES.to(torch.bfloat16)
    (batch,) = fb.Loader(fb.Ragged(values, OFFSETS, pad=pad), 50)
    assert batch.values.dtype == torch.bfloat16
    expected = torch.nn.utils.rnn.pad_sequence(
        [row.to(torch.bfloat16) for row in ROWS], batch_first=True, padding_value=pad
    )
    assert torch.equal(batch.values.view(torch.int16), expected.view(torch.int16))
    for bad in (1e40, 10**400, 1j):
        with pytest.raises(ValueError, match=r"pad must be a number that bfloat16 can hold, got 1"):
            fb.Loader(fb.Ragged(values, OFFSETS, pad=bad), 50)


# ---------------------------------------------------------------------------------------------------------------------
# What takes its batches
# ---------------------------------------------------------------------------------------------------------------------


def test_batches_are_ready_to_be_packed_for_a_recurrent_network():
    batches = fb.Loader(fb.Ragged(VALUES, OFFSETS), 8, shuffle=True, seed=0, rows=True)
    for batch, rows in batches:
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            batch.values, batch.lengths, batch_first=True, enforce_sorted=False
        )
        expected = torch.nn.utils.rnn.pack_sequence([ROWS[row] for row in rows], enforce_sorted=False)
        assert torch.equal(packed.data, expected.data)
        assert torch.equal(packed.batch_sizes, expected.batch_sizes)


def test_packed_batches_are_nested_tensors():
    for batch, rows in fb.Loader(fb.Ragged(VALUES, OFFSETS, layout="packed"), 8, shuffle=True, seed=0, rows=True):
        nested = torch.nested.nested_tensor_from_jagged(batch.values, batch.cu_seqlens)
        for mine, row in zip(nested.unbind(), rows, strict=True):
            assert torch.equal(mine, ROWS[row])


def test_a_dataloader_takes_batches_of_it():
    data = {"x": fb.Ragged(VALUES, OFFSETS), "y": torch.arange(50)}
    loader = torch.utils.data.DataLoader(BatchDataset(data), 8, shuffle=True, collate_fn=BatchDataset.collate)
    for batch in loader:
        assert_batch(batch["x"], batch["y"])
    dataset = pickle.loads(pickle.dumps(BatchDataset(data)))
    sample = dataset[4]
    assert torch.equal(sample["x"].values, ROWS[4])
    assert sample["x"].lengths == LENGTHS[4]
    assert sample["x"].mask.all()
    sample = BatchDataset(fb.Ragged(VALUES, OFFSETS, layout="packed"))[4]
    assert torch.equal(sample.values, ROWS[4])
    assert sample.cu_seqlens.tolist() == [0, LENGTHS[4]]


# ---------------------------------------------------------------------------------------------------------------------
# Where they lie
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("carrier", [None, "cpu"])
@pytest.mark.parametrize("options", [{}, {"length": 16}, {"layout": "packed"}], ids=str)
def test_memory_that_torch_lends(monkeypatch, threads, carrier, options):
    empty = functools.partial(pinned.empty, pin_memory=False)
    destination = Destination("torch", CudaCarrier(torch.device("cpu")) if carrier else None, empty)
    data = {"x": fb.Ragged(VALUES, OFFSETS, **options), "y": torch.arange(50)}
    with monkeypatch.context() as patch:
        patch.setattr("fastbatch.loader.check_destination", lambda *arguments: destination)
        mine = fb.Loader(data, 7, shuffle=True, seed=0, threads=threads, prefetch=2 if threads else None)
    theirs = fb.Loader(data, 7, shuffle=True, seed=0)
    held = []
    for _ in range(3):
        held += zip(mine, theirs, strict=True)
    for left, right in held:
        for one, other in zip((*left["x"], left["y"]), (*right["x"], right["y"]), strict=True):
            assert torch.equal(one, other)
            assert one.is_contiguous()
