"""Batches on a GPU: how fast they get there, and what they cost a GPU that computes. No cases where there is none."""

import os

import torch

import fastbatch as fb
from benchmarks.measure import Case, PairsWithin
from benchmarks.steps import Steps, compute_alone, table

ROW_NBYTES = 4096
STEP_SECONDS = 2e-3


def device_step():
    """A kernel that takes 2 ms and does nothing. It is begun, not awaited, as the kernels of a model are."""
    cycles = 10**8
    torch.cuda._sleep(cycles)  # the clock of an idle GPU is slow
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    torch.cuda._sleep(cycles)
    end.record()
    end.synchronize()
    cycles = round(cycles * STEP_SECONDS / (begin.elapsed_time(end) / 1000))

    def step(_batch):
        torch.cuda._sleep(cycles)

    return step


class PinnedEpochs:
    """Epochs as a DataLoader with pinned memory would give them, without what it does for single rows.

    The memory is that of torch's own allocator, which uses none again that is still copied from.
    """

    def __init__(self, X, y, batch):
        self.tensors, self.batch = (torch.from_numpy(X), torch.from_numpy(y)), batch

    def __iter__(self):
        for rows in torch.randperm(len(self.tensors[0])).split(self.batch):
            yield tuple(self.send(tensor, rows) for tensor in self.tensors)

    def send(self, tensor, rows):
        host = torch.empty((len(rows), *tensor.shape[1:]), dtype=tensor.dtype, pin_memory=True)
        return torch.index_select(tensor, 0, rows, out=host).to("cuda", non_blocking=True)


class OnDevice(Steps):
    """Shuffled batches of 2 GB, which the consumer gets on the device. A repeat ends when all is done there.

    Everyone has all cores: a GPU has a machine to itself.
    """

    def __init__(self, batch_nbytes, make_step, scale):
        X, y = table(int(2**31 * scale) // ROW_NBYTES, ROW_NBYTES)
        n_cores = len(os.sched_getaffinity(0))
        super().__init__(X, y, batch_nbytes // ROW_NBYTES, make_step=make_step, n_torch_threads=n_cores)
        # What pinned_copy copies, and to where: made once.
        self.host = tuple(torch.from_numpy(array[: self.batch].copy()).pin_memory() for array in (X, y))
        self.device = tuple(torch.empty_like(tensor, device="cuda") for tensor in self.host)

    def check(self, contender):
        if contender is pinned_copy:  # it copies the same rows again and again
            contender(self)
            torch.testing.assert_close(tuple(tensor.cpu() for tensor in self.device), self.host)
        else:
            super().check(contender)

    def consume(self, batches, keep=None):
        def keep_on_host(*batch):
            keep(*(tensor.cpu() for tensor in batch))

        super().consume(batches, None if keep is None else keep_on_host)
        torch.cuda.synchronize()


def torch_pinned(stage, keep=None):
    stage.consume(stage.next_of("torch", lambda: PinnedEpochs(stage.X, stage.y, stage.batch)), keep)


def pinned_copy(stage, keep=None):
    """As many bytes, from memory that is there already to memory that is there already: the limit."""
    n_left = min(stage.n, stage.n_batches * stage.batch)
    while n_left:
        n = min(n_left, stage.batch)
        for source, target in zip(stage.host, stage.device, strict=True):
            target[:n].copy_(source[:n], non_blocking=True)
        n_left -= n
    torch.cuda.synchronize()


def fastbatch_cuda(stage, keep=None):
    loader = stage.next_of(
        "fastbatch", lambda: fb.Loader((stage.X, stage.y), stage.batch, shuffle=True, seed=0, device="cuda")
    )
    stage.consume(loader, keep)


def bandwidth(scale):
    return OnDevice(64 * 2**20, None, scale)


def stepped(scale):
    return OnDevice(4 * 2**20, device_step, scale)


# Differences of a few per cent are asked for: they are judged in pairs.
CASES = [
    Case(
        name="cuda-bandwidth",
        work="epoch of 2 GB to the GPU, batches of 64 MB in rows of 4 KB",
        stage=bandwidth,
        contenders=(torch_pinned, pinned_copy, fastbatch_cuda),
        goals=(PairsWithin(fastbatch_cuda, (pinned_copy,), 1 / 0.9),),
        unit="batch",
    ),
    Case(
        name="cuda-step",
        work="steps of 2 ms on the GPU, a batch of 4 MB in rows of 4 KB for each",
        stage=stepped,
        contenders=(compute_alone, torch_pinned, fastbatch_cuda),
        goals=(PairsWithin(fastbatch_cuda, (compute_alone,), 1.05),),
        unit="batch",
    ),
]
if not torch.cuda.is_available():
    CASES = []


def test_cuda(timed, stage, contender):
    timed(stage, contender)
