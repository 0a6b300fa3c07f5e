"""What is done with rows while they are gathered, against doing it to the gathered batch: types, crops, sizes, sums."""

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

import fastbatch as fb
from benchmarks.measure import Case, Faster, Stage, Within

torch.set_num_threads(1)  # one core for everyone

BATCH = 256
MEAN, STD = np.array([125.3, 123.0, 113.9], np.float32), np.array([63.0, 62.1, 66.7], np.float32)


class Gathered(Stage):
    """Batches of random rows. Contenders pass (rows, batch) to `keep` when they are checked, and to nobody else.

    table : the rows; transforms : what fastbatch does with them; expected(rows, batch) : raises unless it is right
    """

    calls = 1

    def __init__(self, table, transforms, units, batch=BATCH):
        self.rng = np.random.default_rng(0)
        self.table, self.tensor = table, torch.from_numpy(table)
        self.units, self.batch = units, batch
        settled = {"shuffle": True, "seed": 0, "threads": 0, "drop_last": True}
        self.loader = fb.Loader(table, batch, transforms=transforms, **settled)
        self.with_rows = fb.Loader(table, batch, transforms=transforms, rows=True, **settled)
        self.stream = endless(self.loader)

    def refresh(self, contender):
        self.rows = self.rng.integers(0, len(self.table), (self.units, self.batch))

    def check(self, contender):
        self.refresh(contender)
        contender(self, self.expected)


def endless(loader):
    while True:
        yield from loader


def fastbatch_loader(stage, keep=None):
    if keep is not None:
        for batch, rows in stage.with_rows:
            keep(rows, batch)
            return
    for _ in range(stage.units):
        next(stage.stream)


# ---------------------------------------------------------------------------------------------------------------------
# Types
# ---------------------------------------------------------------------------------------------------------------------


class Bytes(Gathered):
    """Rows of 3 KB, 1.2 GB."""

    def __init__(self, scale):
        table = np.random.default_rng(1).integers(0, 256, (int(400_000 * scale), 3072), dtype=np.uint8)
        super().__init__(table, fb.Normalize(121.0, 58.0), 256)
        four_times = np.repeat(np.random.default_rng(2).permutation(len(table)), 4)
        self.plain_stream = endless(fb.Loader(table, 4 * BATCH, sampler=four_times, threads=0, drop_last=True))

    def expected(self, rows, batch):
        np.testing.assert_allclose(batch, (self.table[rows] - 121.0) / 58.0, rtol=1e-4, atol=1e-4)


def numpy_astype(stage, keep=None):
    scale, shift = np.float32(1 / 58), np.float32(-121 / 58)
    for rows in stage.rows:
        batch = stage.table[rows].astype("f4") * scale + shift
        if keep is not None:
            keep(rows, batch)


def torch_in_place(stage, keep=None):
    for rows in stage.rows:
        batch = stage.tensor.index_select(0, torch.from_numpy(rows)).to(torch.float32).mul_(1 / 58).add_(-121 / 58)
        if keep is not None:
            keep(rows, batch)


def fastbatch_bytes(stage, keep=None):
    """The rows as they are, each four times, so that as much memory is written."""
    for _ in range(stage.units):
        batch = next(stage.plain_stream)
    if keep is not None:
        assert batch.nbytes == BATCH * 3072 * 4


class Floats(Gathered):
    """Rows of 1 KB, 2 GB."""

    def __init__(self, scale):
        table = np.random.default_rng(1).normal(size=(int(2_000_000 * scale), 256)).astype(np.float32)
        super().__init__(table, fb.Cast("bfloat16"), 512)
        settled = {"shuffle": True, "seed": 0, "threads": 0, "drop_last": True, "output": "torch"}
        self.stream = endless(fb.Loader(table, BATCH, transforms=fb.Cast("bfloat16"), **settled))
        self.with_rows = fb.Loader(table, BATCH, transforms=fb.Cast("bfloat16"), rows=True, **settled)

    def expected(self, rows, batch):
        assert torch.equal(batch, self.tensor[torch.as_tensor(rows)].to(torch.bfloat16))


def torch_bfloat16(stage, keep=None):
    for rows in stage.rows:
        batch = stage.tensor.index_select(0, torch.from_numpy(rows)).to(torch.bfloat16)
        if keep is not None:
            keep(rows, batch)


# ---------------------------------------------------------------------------------------------------------------------
# Images
# ---------------------------------------------------------------------------------------------------------------------


class SmallImages(Gathered):
    """32 x 32 x 3, cropped with a padding of 4, mirrored half of the time, normalised, channels first."""

    def __init__(self, scale):
        table = np.random.default_rng(1).integers(0, 256, (int(100_000 * scale), 32, 32, 3), dtype=np.uint8)
        transforms = [fb.Layout("NHWC", "NCHW"), fb.RandomCrop(32, padding=4), fb.RandomFlip(), fb.Normalize(MEAN, STD)]
        super().__init__(table, transforms, 64)
        self.planes = self.tensor.permute(0, 3, 1, 2).contiguous()
        self.mean, self.scale = torch.from_numpy(MEAN)[:, None, None], torch.from_numpy(1 / STD)[:, None, None]

    def expected(self, rows, batch):
        """Each of the first images is one of the 162 that can be drawn."""
        batch = np.asarray(batch)
        assert batch.shape == (BATCH, 3, 32, 32)
        for row, image in zip(rows[:4], batch[:4], strict=True):
            padded = np.pad(self.table[row], ((4, 4), (4, 4), (0, 0)))
            crops = [padded[y : y + 32, x : x + 32] for y in range(9) for x in range(9)]
            normal = [((crop - MEAN) / STD).transpose(2, 0, 1) for crop in crops]
            assert any(np.allclose(image, one[:, :, ::step], atol=1e-4) for one in normal for step in (1, -1))


def torch_indices(stage, keep=None):
    """The whole batch at once, by index arrays."""
    n, window = BATCH, torch.arange(32)
    for rows in stage.rows:
        padded = functional.pad(stage.planes.index_select(0, torch.from_numpy(rows)), (4, 4, 4, 4))
        y, x = torch.randint(0, 9, (n, 1)) + window, torch.randint(0, 9, (n, 1)) + window
        x = torch.where(torch.rand(n, 1) < 0.5, x.flip(1), x)
        first, channels = torch.arange(n)[:, None, None, None], torch.arange(3)[None, :, None, None]
        cut = padded[first, channels, y[:, None, :, None], x[:, None, None, :]]
        batch = cut.to(torch.float32).sub_(stage.mean).mul_(stage.scale)
        if keep is not None:
            keep(rows, batch)


def torch_windows(stage, keep=None):
    """The whole batch at once, by views of all windows."""
    n = BATCH
    for rows in stage.rows:
        padded = functional.pad(stage.planes.index_select(0, torch.from_numpy(rows)), (4, 4, 4, 4))
        windows = padded.unfold(2, 32, 1).unfold(3, 32, 1)
        cut = windows[torch.arange(n), :, torch.randint(0, 9, (n,)), torch.randint(0, 9, (n,))]
        cut = torch.where(torch.rand(n, 1, 1, 1) < 0.5, cut.flip(3), cut)
        batch = cut.to(torch.float32).sub_(stage.mean).mul_(stage.scale)
        if keep is not None:
            keep(rows, batch)


def torch_per_sample(stage, keep=None):
    for rows in stage.rows:
        images = []
        for row in rows:
            padded = functional.pad(stage.planes[row], (4, 4, 4, 4))
            y, x = torch.randint(0, 9, (2,)).tolist()
            image = padded[:, y : y + 32, x : x + 32]
            if torch.rand(()) < 0.5:
                image = image.flip(2)
            images.append(image.to(torch.float32).sub_(stage.mean).mul_(stage.scale))
        batch = torch.stack(images)
        if keep is not None:
            keep(rows, batch)


class LargeImages(Gathered):
    """256 x 256 x 3, a random part of each resampled to 224 x 224 x 3."""

    def __init__(self, scale):
        rng = np.random.default_rng(1)
        table = rng.integers(0, 256, (max(64, int(1_000 * scale)), 256, 256, 3), dtype=np.uint8)
        super().__init__(table, fb.RandomResizedCrop(224), 8, batch=32)
        self.pictures = [Image.fromarray(image) for image in table]

    def refresh(self, contender):
        super().refresh(contender)
        area = 65536 * self.rng.uniform(0.08, 1, self.batch)
        ratio = np.exp(self.rng.uniform(np.log(3 / 4), np.log(4 / 3), self.batch))
        self.sizes = np.minimum(256, np.rint([np.sqrt(area * ratio), np.sqrt(area / ratio)]).astype(int)).T

    def expected(self, rows, batch):
        batch = np.asarray(batch)
        assert batch.shape == (self.batch, 224, 224, 3)
        assert abs(float(batch.mean()) - 127.5) < 2

    def check(self, contender):
        """Which part is drawn is chance; of whole images the two agree to one level."""
        super().check(contender)
        whole = fb.RandomResizedCrop(224, scale=(1, 1), ratio=(1, 1))
        batch = next(iter(fb.Loader(self.table, 8, transforms=whole)))
        for image, picture in zip(batch, self.pictures, strict=False):
            resized = np.asarray(picture.resize((224, 224), Image.Resampling.BILINEAR))
            assert np.abs(image.astype(int) - resized).max() <= 1


def pillow_resize(stage, keep=None):
    for rows in stage.rows:
        batch = np.empty((stage.batch, 224, 224, 3), np.uint8)
        for i, (row, (width, height)) in enumerate(zip(rows, stage.sizes, strict=True)):
            left, top = (256 - width) // 2, (256 - height) // 2
            part = stage.pictures[row].crop((left, top, left + width, top + height))
            batch[i] = np.asarray(part.resize((224, 224), Image.Resampling.BILINEAR))
        if keep is not None:
            keep(rows, batch)


# ---------------------------------------------------------------------------------------------------------------------
# Sums
# ---------------------------------------------------------------------------------------------------------------------


class Table(Stage):
    """4 GB of float32, of 128 features."""

    units = 1

    def __init__(self, scale):
        n = int(8_000_000 * scale)
        self.x = np.empty((n, 128), np.float32)
        rng = np.random.default_rng(0)
        for first in range(0, n, 100_000):
            part = self.x[first : first + 100_000]
            part[:] = rng.standard_normal(part.shape, np.float32)

    def check(self, contender):
        found = contender(self)
        if found is not None:
            np.testing.assert_allclose(found[0], 0, atol=0.05)
            np.testing.assert_allclose(found[1], 1, atol=0.05)


def numpy_mean_and_std(stage):
    return stage.x.mean(0), stage.x.std(0)


def numpy_sum(stage):
    """How fast one core reads."""
    stage.x.sum()


def fastbatch_statistics(stage):
    return fb.statistics(stage.x, threads=1)


TORCH_BATCHES = (torch_indices, torch_windows)

CASES = [
    Case(
        name="normalize",
        work="uint8 rows of 3 KB from 1.2 GB to float32, normalised, batch 256",
        stage=Bytes,
        contenders=(numpy_astype, torch_in_place, fastbatch_bytes, fastbatch_loader),
        goals=(
            Faster(fastbatch_loader, (numpy_astype,), 8),
            Faster(fastbatch_loader, (torch_in_place,), 3),
            Within(fastbatch_loader, (fastbatch_bytes,), 1.3),
        ),
        unit="batch",
    ),
    Case(
        name="bfloat16",
        work="float32 rows of 1 KB from 2 GB to bfloat16, batch 256",
        stage=Floats,
        contenders=(torch_bfloat16, fastbatch_loader),
        goals=(Faster(fastbatch_loader, (torch_bfloat16,), 2),),
        unit="batch",
    ),
    Case(
        name="crops",
        work="32 x 32 x 3 uint8: crop with padding 4, flip, normalise, channels first, batch 256",
        stage=SmallImages,
        contenders=(*TORCH_BATCHES, torch_per_sample, fastbatch_loader),
        goals=(
            Faster(fastbatch_loader, TORCH_BATCHES, 5),
            Faster(fastbatch_loader, (torch_per_sample,), 30),
        ),
        unit="batch",
    ),
    Case(
        name="resized-crops",
        work="a random part of 256 x 256 x 3 uint8 to 224 x 224 x 3, batch 32",
        stage=LargeImages,
        contenders=(pillow_resize, fastbatch_loader),
        goals=(Faster(fastbatch_loader, (pillow_resize,), 3),),
        unit="batch",
    ),
    Case(
        name="statistics",
        work="mean and standard deviation of 128 features, 4 GB of float32, one thread",
        stage=Table,
        contenders=(numpy_mean_and_std, numpy_sum, fastbatch_statistics),
        goals=(
            Faster(fastbatch_statistics, (numpy_mean_and_std,), 3),
            Within(fastbatch_statistics, (numpy_sum,), 1.25),
        ),
        unit="pass",
        fewest=5,
    ),
]


def test_transforms(timed, stage, contender):
    timed(stage, contender)
