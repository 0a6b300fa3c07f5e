"""Weights that follow the model: 256 draws, and 256 updates, of 1e6 rows."""

import numpy as np

import fastbatch as fb
from benchmarks.measure import Case, Faster, Stage, Under

N_ROWS, BATCH = 1_000_000, 256


class SumTree:
    """As it is written well in NumPy: a binary tree of sums, a whole batch going down or up it at once."""

    def __init__(self, weights):
        self.n_leaves = 1 << (len(weights) - 1).bit_length()
        self.depth = self.n_leaves.bit_length() - 1
        self.nodes = np.zeros(2 * self.n_leaves)
        self.nodes[self.n_leaves : self.n_leaves + len(weights)] = weights
        for level in range(self.depth - 1, -1, -1):
            first = 1 << level
            self.nodes[first : 2 * first] = self.nodes[2 * first : 4 * first].reshape(-1, 2).sum(axis=1)

    def draw(self, rests):
        node = np.ones(len(rests), np.int64)
        rests = rests * self.nodes[1]
        for _ in range(self.depth):
            node *= 2
            left = self.nodes[node]
            is_right = rests >= left
            rests -= np.where(is_right, left, 0)
            node += is_right
        return node - self.n_leaves

    def update(self, rows, values):
        node = rows + self.n_leaves
        self.nodes[node] = values
        for _ in range(self.depth):
            node = np.unique(node // 2)
            self.nodes[node] = self.nodes[2 * node] + self.nodes[2 * node + 1]


class Replay(Stage):
    """A million rows of 8 bytes, their weights, and other rows to draw and to update in each call."""

    calls = 100

    def __init__(self, scale):
        n = int(N_ROWS * scale)
        self.rng = np.random.default_rng(0)
        self.x, self.weights = np.arange(n), self.rng.exponential(size=n)
        self.tree, self.sampler = SumTree(self.weights), fb.Prioritized(self.weights, num_samples=2**40)
        self.batches = iter(fb.Loader(self.x, BATCH, sampler=self.sampler, seed=0, rows=True, threads=0))
        self.refresh(None)

    def refresh(self, contender):
        self.rows = iter(self.rng.integers(0, len(self.x), (1 + self.calls, BATCH)))
        self.values = self.rng.exponential(size=BATCH)

    def weights_of(self, contender):
        if contender in (fastbatch_draw, fastbatch_update):
            return self.sampler.weights
        return self.tree.nodes[self.tree.n_leaves :][: len(self.x)]


class Draws(Replay):
    def check(self, contender):
        weights = self.weights_of(contender)
        drawn = np.concatenate([contender(self)[1] for _ in range(20)])
        # A row that is drawn has twice the mean of exponentially distributed weights, on average.
        assert abs(weights[drawn].mean() / weights.mean() - 2) < 0.2, "rows do not come by their weights"


class Updates(Replay):
    def check(self, contender):
        rows = self.rng.permutation(len(self.x))[:BATCH]
        self.rows = iter([rows])
        contender(self)
        assert np.array_equal(self.weights_of(contender)[rows], self.values), "weights are not those given"


def numpy_tree_draw(stage):
    rows = stage.tree.draw(stage.rng.random(BATCH))
    return stage.x[rows], rows


def fastbatch_draw(stage):
    x, rows, _weights = next(stage.batches)
    return x, rows


def numpy_tree_update(stage):
    stage.tree.update(next(stage.rows), stage.values)


def fastbatch_update(stage):
    stage.sampler.update(next(stage.rows), stage.values)


CASES = [
    Case(
        name="prioritized-draw",
        work="a batch of 256 rows by weights that change, of 1e6",
        stage=Draws,
        contenders=(numpy_tree_draw, fastbatch_draw),
        goals=(Under(fastbatch_draw, 40e-6, "under 40 us"), Faster(fastbatch_draw, (numpy_tree_draw,), 1)),
        unit="batch",
    ),
    Case(
        name="prioritized-update",
        work="256 new weights of 1e6",
        stage=Updates,
        contenders=(numpy_tree_update, fastbatch_update),
        goals=(Under(fastbatch_update, 40e-6, "under 40 us"), Faster(fastbatch_update, (numpy_tree_update,), 1)),
        unit="update",
    ),
]


def test_prioritized(timed, stage, contender):
    timed(stage, contender)
