"""Orders never change but with their version: they are compared with those written down in golden/.

``python tests/test_golden.py --write`` writes them anew. Do that only when `fastbatch.samplers.order_version` goes up:
saved states and published results depend on the orders.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import fastbatch as fb
from fastbatch.samplers import order_version

GOLDEN = Path(__file__).parent / "golden" / "orders.json"

LABELS = np.array([0, 2, 1, 0, 0, 2, 1, 0, 0, 0, 2, 0, 1, 0, 2, 0])
MANY_LABELS = (np.arange(10_000) * 7919 % 97) ** 2 % 11
LENGTHS = 1 + (np.arange(100_000) * 7919 % 997) ** 2 % 509
SEEDS = [(0, 0), (0, 1), (1, 0), (12345, 7), (2**100 + 3, 2**40)]

SAMPLERS = {
    "Sequential(10)": lambda: fb.Sequential(10),
    "Shuffle(1)": lambda: fb.Shuffle(1),
    "Shuffle(2)": lambda: fb.Shuffle(2),
    "Shuffle(10)": lambda: fb.Shuffle(10),
    "Shuffle(1000)": lambda: fb.Shuffle(1000),
    "Balanced stop": lambda: fb.Balanced(LABELS),
    "Balanced recycle": lambda: fb.Balanced(LABELS, exhausted="recycle"),
    "Balanced stop, proportions": lambda: fb.Balanced(LABELS, proportions=[3, 1, 2]),
    "Balanced recycle, proportions": lambda: fb.Balanced(
        LABELS, exhausted="recycle", proportions={0: 0.5, 1: 0.2, 2: 0.3}
    ),
    "Balanced, one class": lambda: fb.Balanced(np.zeros(20, int)),
    "Balanced, many rows": lambda: fb.Balanced(MANY_LABELS),
    "Balanced recycle, many rows": lambda: fb.Balanced(MANY_LABELS, exhausted="recycle"),
    "Balanced proportions, many rows": lambda: fb.Balanced(
        MANY_LABELS, proportions=range(1, len(set(MANY_LABELS)) + 1)
    ),
    "Shuffle streaming": lambda: fb.Shuffle(100_000, "streaming"),
    "Blocks": lambda: fb.Blocks(100, block=7, window=3),
    "Blocks, many rows": lambda: fb.Blocks(10_007, block=100, window=9),
    "PerClass": lambda: fb.PerClass(LABELS, 2, 3),
    "PerClass, many rows": lambda: fb.PerClass(MANY_LABELS, 3, 7),
    "Stratified": lambda: fb.Stratified(LABELS),
    "Stratified, many rows": lambda: fb.Stratified(MANY_LABELS),
    "Mixture": lambda: fb.Mixture([10, 30, 5], [2, 3, 1]),
    "Mixture recycle": lambda: fb.Mixture([1000, 30, 5000], [0.5, 0.2, 0.3], exhausted="recycle"),
    "Subset": lambda: fb.Subset(np.arange(5, 300, 3)),
    "Curriculum": lambda: fb.Curriculum(np.arange(20) * 7 % 20, fb.pacing.linear(4, start=0.25)),
    "Curriculum, weighted, many rows": lambda: fb.Curriculum(
        np.arange(10_000) * 7919 % 9973, fb.pacing.root(4, start=0.25), np.arange(10_000) % 7
    ),
    "Prioritized": lambda: fb.Prioritized(np.arange(20)),
    "Prioritized, many rows": lambda: fb.Prioritized(np.arange(10_000) * 7919 % 1009 / 8),
    "Bucketed": lambda: fb.Bucketed(LENGTHS[:100], window=32, block=4),
    "Bucketed, many rows": lambda: fb.Bucketed(LENGTHS),
    "TokenBudget": lambda: fb.TokenBudget(LENGTHS[:100], 1024, 5, window=40),
    "TokenBudget, many rows": lambda: fb.TokenBudget(LENGTHS, 4096, multiple=8),
    "Weighted": lambda: fb.Weighted(np.arange(20)),
    "Weighted, many rows": lambda: fb.Weighted(np.arange(10_000) * 7919 % 1009),
    "Weighted without replacement": lambda: fb.Weighted(np.arange(20), replacement=False),
    "Weighted without replacement, many rows": lambda: fb.Weighted(np.arange(10_000) * 7919 % 1009, replacement=False),
}
# Around the size at which an order becomes buckets, and well above it.
LARGE = [2**22, 2**22 + 1, 2**22 + 1000, 5_000_000]
PERMUTATIONS = [0, 1, 2, 10, 1000, 2**22, 2**22 + 1000, 5_000_000]
PACKED = [(100, 512), (100_000, 2048)]
SHUFFLED = [("i8", 1, 10), ("u1", 1, 1000), ("f4", 3, 100), ("u1", 5, 2**22 + 1000), ("u8", 3, 2**22 + 1000)]


def rng(seed):
    """A generator whose stream NumPy promises to keep."""
    return np.random.Generator(np.random.PCG64(seed))


def described(order):
    """The order itself when it is short; always a digest of it as little-endian int64."""
    order = np.asarray(order)
    digest = hashlib.blake2b(order.astype("<i8").tobytes(), digest_size=16).hexdigest()
    return {"rows": len(order), "first": order[:32].tolist(), "blake2b": digest}


def sampler_order(name, seed, epoch):
    return described(SAMPLERS[name]().order(seed, epoch))


def batch_sizes(name, seed, epoch):
    return described([len(batch) for batch in SAMPLERS[name]().batches(seed, epoch)])


def packed(n, context):
    """Which sequences share rows, and how many each has."""
    packing = fb.FirstFit(LENGTHS[:n], context)
    return described(np.concatenate([packing.sequences, np.diff(packing.offsets)]))


def large_order(n, seed, epoch):
    return described(fb.Shuffle(n).order(seed, epoch))


def permutation(n, seed):
    return described(fb.permutation(n, rng=rng(seed)))


def shuffled(dtype, width, n, seed):
    """The order in which fb.shuffle leaves rows of some width."""
    rows = np.arange(n) % 251 if np.dtype(dtype).itemsize == 1 else np.arange(n)
    x = np.repeat(rows.astype(dtype)[:, None], width, axis=1)
    fb.shuffle(x, rng=rng(seed))
    assert (x == x[:, :1]).all()
    return described(x[:, 0].astype(np.int64))


def cases():
    """(name, function, arguments) of everything that is written down."""
    for name in SAMPLERS:
        for seed, epoch in SEEDS:
            yield f"{name}, seed {seed}, epoch {epoch}", sampler_order, (name, seed, epoch)
    for name in ("TokenBudget", "TokenBudget, many rows"):
        yield f"{name}, rows of its batches, seed 1, epoch 0", batch_sizes, (name, 1, 0)
    for n, context in PACKED:
        yield f"FirstFit of {n} into rows of {context}", packed, (n, context)
    for n in LARGE:
        yield f"Shuffle({n}), seed 3, epoch 2", large_order, (n, 3, 2)
    for n in PERMUTATIONS:
        yield f"permutation({n}), PCG64(5)", permutation, (n, 5)
    for dtype, width, n in SHUFFLED:
        yield f"shuffle of {n} rows of {width} {dtype}, PCG64(6)", shuffled, (dtype, width, n, 6)


def write():
    """Write the orders of this version down."""
    golden = {name: function(*arguments) for name, function, arguments in cases()}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(golden[name])}" for name in golden)
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(f'{{\n  "order version": {order_version},\n{lines}\n}}\n')


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text())


def test_the_version_of_the_orders_is_the_one_written_down(golden):
    assert golden["order version"] == order_version
    assert set(golden) == {"order version", *(name for name, _, _ in cases())}


@pytest.mark.parametrize(("name", "function", "arguments"), list(cases()), ids=[name for name, _, _ in cases()])
def test_the_order_is_the_one_written_down(golden, name, function, arguments):
    assert function(*arguments) == golden[name]


def test_a_loader_follows_the_order_written_down(golden):
    rows = np.concatenate(list(fb.Loader(np.arange(1000), 64, shuffle=True, seed=0)))
    assert described(rows) == golden["Shuffle(1000), seed 0, epoch 0"]


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    write()
