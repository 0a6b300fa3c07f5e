"""Torch tensors in and out: every dtype both have, no copy on the way in, a lease on the way out."""

import numpy as np
import pytest

import fastbatch as fb
from reference import make_array

torch = pytest.importorskip("torch")

ROWS = [5, 0, 3, 3, 9, 1, 8]
DTYPES = [
    *(torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int16, torch.int32),
    *(torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128),
]
SHARED = ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "c8", "c16"]
NOT_TORCH = [">i4", ">f8", "M8[ns]", "m8[s]", "S3", "U2", "V4", [("a", "i4")], "g"]


def batch_of(data, rows=ROWS, **options):
    return next(iter(fb.Loader(data, len(rows), sampler=rows, **options)))


def make_tensor(dtype, shape=(10, 3)):
    return torch.from_numpy(make_array("i4", shape) % 2 if dtype == torch.bool else make_array("i4", shape)).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_in_are_tensors_out(dtype):
    source = make_tensor(dtype)
    batch = batch_of(source)
    assert type(batch) is torch.Tensor
    assert batch.dtype == dtype
    assert batch.is_contiguous()
    assert batch.tolist() == [source[i].tolist() for i in ROWS]


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != torch.bfloat16], ids=str)
def test_tensors_come_out_as_arrays_when_asked(dtype):
    source = make_tensor(dtype)
    batch = batch_of(source, output="numpy")
    assert type(batch) is np.ndarray
    assert batch.dtype == source.numpy().dtype
    assert np.array_equal(batch, source.numpy()[ROWS])


@pytest.mark.parametrize("dtype", SHARED)
@pytest.mark.parametrize("row_shape", [(), (3,), (2, 2), (0,)], ids=str)
def test_arrays_come_out_as_tensors_when_asked(dtype, row_shape):
    source = make_array(dtype, (10, *row_shape))
    batch = batch_of(source, output="torch")
    expected = torch.from_numpy(source[ROWS])
    assert type(batch) is torch.Tensor
    assert batch.dtype == expected.dtype
    assert batch.shape == expected.shape
    assert batch.is_contiguous()
    assert batch.tolist() == expected.tolist()


@pytest.mark.parametrize("dtype", NOT_TORCH, ids=str)
def test_a_dtype_that_torch_lacks_is_refused_by_name(dtype):
    source = make_array(dtype, (10,))
    with pytest.raises(TypeError, match=r"torch has no dtype for .*; use output='numpy'"):
        fb.Loader(source, 2, output="torch")
    assert len(batch_of(source)) == len(ROWS)


def test_each_column_of_mixed_data_follows_its_own_kind():
    array, tensor = batch_of((np.arange(10), torch.arange(10)))
    assert (type(array), type(tensor)) == (np.ndarray, torch.Tensor)
    both = batch_of({"a": np.arange(10), "b": torch.arange(10)}, output="torch")
    assert all(type(item) is torch.Tensor for item in both.values())
    both = batch_of({"a": np.arange(10), "b": torch.arange(10)}, output="numpy")
    assert all(type(item) is np.ndarray for item in both.values())


@pytest.mark.parametrize(
    ("data", "options", "kind"),
    [
        (torch.arange(10), {}, torch.Tensor),
        (np.arange(10), {"output": "torch"}, torch.Tensor),
        (torch.arange(10), {"output": "numpy"}, np.ndarray),
        (np.arange(10), {}, np.ndarray),
    ],
)
def test_row_numbers_are_of_the_same_kind_as_the_data(data, options, kind):
    _, rows = next(iter(fb.Loader(data, 4, rows=True, **options)))
    assert type(rows) is kind
    assert rows.dtype in (np.int64, torch.int64)
    assert rows.tolist() == [0, 1, 2, 3]


def test_gradients_are_left_behind():
    source = torch.arange(10.0, requires_grad=True)
    batch = batch_of(source)
    assert not batch.requires_grad
    assert batch.tolist() == ROWS
    batch.requires_grad_().sum().backward()
    assert source.grad is None
    assert not batch_of(torch.nn.Parameter(torch.zeros(10, 2))).requires_grad


def test_the_source_tensor_is_referred_to_and_never_written():
    source = torch.zeros(10, 2)
    loader = fb.Loader(source, 10)
    source += 1
    batch = next(iter(loader))
    assert batch.sum() == 20
    batch += 1
    assert source.sum() == 20


@pytest.mark.parametrize(
    ("view", "is_copied"),
    [
        (lambda base: base[::2], False),
        (lambda base: base[:10, 1:3], False),
        (lambda base: base[3].expand(10, 4), False),
        (lambda base: base[:10, ::2], True),
        (lambda base: base.t(), True),
        (lambda base: base.view(2, 10, 4).permute(1, 2, 0), True),
    ],
    ids=["step", "columns", "expanded", "column step", "transposed", "permuted"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_views_of_tensors_are_sources(view, is_copied, dtype):
    source = view(torch.arange(80).reshape(20, 4).to(dtype))
    n = len(source)
    rows = [row % n for row in ROWS]
    loader = fb.Loader(source, len(rows), sampler=rows)
    assert ("copied once" in loader.explain()) == is_copied
    assert torch.equal(next(iter(loader)), source[rows])


@pytest.mark.parametrize(
    "lazy",
    [lambda base: base.conj(), lambda base: base.conj().imag, lambda base: base.imag.conj()],
    ids=["conjugated", "negated", "real"],
)
def test_tensors_whose_memory_is_conjugated_or_negated_lazily_are_sources(lazy):
    source = lazy(torch.complex(torch.arange(10.0), torch.arange(10.0) + 1))
    assert torch.equal(batch_of(source), source[ROWS])


@pytest.mark.parametrize(
    "source",
    [torch.eye(4).to_sparse(), torch.empty(4, device="meta")],
    ids=["sparse", "meta"],
)
def test_tensors_that_are_not_strided_or_not_on_the_cpu_are_refused(source):
    with pytest.raises(ValueError, match="tensors must be strided and on the CPU, got "):
        fb.Loader(source, 2)


def test_batches_are_writable_and_apart():
    loader = fb.Loader(torch.zeros(12, 3), 4)
    batches = list(loader)
    for i, batch in enumerate(batches):
        batch.fill_(i)
    assert [batch.unique().tolist() for batch in batches] == [[0], [1], [2]]
    assert len({batch.data_ptr() for batch in batches}) == 3


def test_a_batch_can_be_handed_on_to_numpy_and_back():
    batch = batch_of(np.arange(20.0).reshape(10, 2), output="torch")
    assert np.shares_memory(batch.numpy(), np.from_dlpack(batch))
    assert torch.from_dlpack(batch.numpy()).data_ptr() == batch.data_ptr()


# ---------------------------------------------------------------------------------------------------------------------
# torch's samplers
# ---------------------------------------------------------------------------------------------------------------------


def generator():
    return torch.Generator().manual_seed(1)


@pytest.mark.parametrize(
    "make",
    [
        lambda data: torch.utils.data.RandomSampler(data, generator=generator()),
        lambda data: torch.utils.data.SubsetRandomSampler([7, 1, 3, 5], generator=generator()),
        lambda data: torch.utils.data.WeightedRandomSampler([1.0] * 30, 17, generator=generator()),
        lambda data: torch.utils.data.SequentialSampler(data),
        lambda data: torch.arange(29, -1, -1),
    ],
    ids=["RandomSampler", "SubsetRandomSampler", "WeightedRandomSampler", "SequentialSampler", "tensor"],
)
@pytest.mark.parametrize("drop_last", [False, True])
def test_samplers_of_torch_give_the_batches_that_its_dataloader_makes(make, drop_last):
    data = torch.arange(60.0).reshape(30, 2)
    ours = fb.Loader(data, 4, sampler=make(data), drop_last=drop_last)
    theirs = torch.utils.data.DataLoader(data, 4, sampler=make(data), drop_last=drop_last)
    assert len(ours) == len(theirs)
    for _ in range(2):
        mine, other = list(ours), list(theirs)
        assert len(mine) == len(other)
        # torch's DataLoader draws a seed of its own from the global generator, never from the sampler's.
        assert all(torch.equal(a, b) for a, b in zip(mine, other, strict=True))


@pytest.mark.parametrize("drop_last", [False, True])
def test_a_batch_sampler_of_torch_gives_the_batches_that_its_dataloader_makes(drop_last):
    def make():
        return torch.utils.data.BatchSampler(torch.utils.data.RandomSampler(data, generator=generator()), 4, drop_last)

    data = torch.arange(60.0).reshape(30, 2)
    ours = fb.Loader(data, batch_sampler=make())
    theirs = torch.utils.data.DataLoader(data, batch_sampler=make())
    assert len(ours) == len(theirs)
    mine, other = list(ours), list(theirs)
    assert len(mine) == len(other)
    assert all(torch.equal(a, b) for a, b in zip(mine, other, strict=True))


def test_a_distributed_sampler_of_torch_is_told_the_epoch():
    sampler = torch.utils.data.DistributedSampler(range(10), num_replicas=2, rank=1, shuffle=True, seed=5)
    loader = fb.Loader(torch.arange(10), 5, sampler=sampler)
    for epoch in range(3):
        rows = next(iter(loader)).tolist()
        sampler.set_epoch(epoch)
        assert rows == list(sampler)


def test_the_weights_of_a_sampler_are_a_tensor_beside_tensors():
    sampler = fb.Prioritized(torch.ones(10), lag=1)
    _, rows, weights = next(iter(fb.Loader((torch.arange(10),), 4, sampler=sampler, seed=0, rows=True)))
    assert weights.dtype == torch.float32
    assert weights.tolist() == [1.0] * 4
    sampler.update(rows, torch.zeros(4))
