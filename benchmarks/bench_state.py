"""A run that is stopped in the middle of an epoch and taken up again: its state, and the first batch behind it."""

from functools import partial
from itertools import islice

import numpy as np

import fastbatch as fb
from benchmarks.measure import Case, PairsWithin, Stage, Under

BATCH = 256


class Column(Stage):
    """1e8 rows of one byte, and how a Loader gets to the middle of its epoch."""

    def __init__(self, method, scale):
        self.n = int(100_000_000 * scale)
        self.x = (np.arange(self.n) % 251).astype(np.uint8)
        self.method = method
        self.n_delivered = self.n // 2 // BATCH

    def loader_of(self, seed):
        return fb.Loader(self.x, BATCH, sampler=fb.Shuffle(self.n, self.method), seed=seed, rows=True, threads=0)

    def delivered_half(self):
        """A Loader that has, and the iterator that did."""
        loader = self.loader_of(0)
        batches = iter(loader)
        next(islice(batches, self.n_delivered - 1, None))
        return loader, batches


class Saving(Column):
    """A Loader in the middle, asked for its state over and over."""

    calls = 1000

    def __init__(self, method, scale):
        super().__init__(method, scale)
        self.loader, self.batches = self.delivered_half()

    def check(self, contender):
        assert contender(self)["position"] == self.n_delivered * BATCH


class Resuming(Column):
    """A new Loader for each repeat, and a state of the middle with a new seed: nothing is prepared for either."""

    def __init__(self, method, scale):
        super().__init__(method, scale)
        loader, batches = self.delivered_half()
        self.saved = loader.state_dict()
        loader.close()
        del loader, batches
        self.rng = np.random.default_rng(0)
        self.result = self.loader = None

    def refresh(self, contender):
        # What the last repeat left goes off the clock.
        self.result = self.loader = None
        np.empty(self.n, np.int64).fill(0)  # idle memory may go back to a virtual machine's host
        self.state = {**self.saved, "seed": int(self.rng.integers(2**32))}
        self.loader = self.loader_of(self.state["seed"])

    def check(self, contender):
        self.refresh(contender)
        batch, rows = contender(self)
        assert len(rows) == BATCH
        assert np.array_equal(batch, self.x[rows]), "rows differ"
        if contender is not numpy_again:
            place = 0 if contender is fastbatch_fresh else self.n_delivered
            _batch, expected = self.loader_of(self.state["seed"]).batch(0, place)
            assert np.array_equal(rows, expected), "the epoch begins, or goes on, at another place"


def numpy_again(stage):
    """As it is often written: the order is drawn once more from its seed, and what was delivered is passed over."""
    order = np.random.default_rng(stage.state["seed"]).permutation(stage.n)
    rows = order[stage.state["position"] :][:BATCH]
    stage.result = order
    return stage.x[rows], rows


def fastbatch_fresh(stage):
    stage.result = iter(stage.loader)
    return next(stage.result)


def fastbatch_loaded(stage):
    stage.loader.load_state_dict(stage.state)
    stage.result = iter(stage.loader)
    return next(stage.result)


def fastbatch_state_dict(stage):
    return stage.loader.state_dict()


CASES = [
    *(
        Case(
            name=f"state-{method}",
            work=f'state_dict in the middle of 1e8 rows, "{method}"',
            stage=partial(Saving, method),
            contenders=(fastbatch_state_dict,),
            goals=(Under(fastbatch_state_dict, 20e-6, "under 20 us"),),
            unit="state",
        )
        for method in ("exact", "streaming")
    ),
    Case(
        name="resume-exact",
        work='first batch of an epoch taken up in the middle of 1e8 rows, "exact"',
        stage=partial(Resuming, "exact"),
        contenders=(numpy_again, fastbatch_fresh, fastbatch_loaded),
        # No slower: 5 % is the noise of such a median.
        goals=(PairsWithin(fastbatch_loaded, (fastbatch_fresh,), 1.05),),
        unit="batch",
    ),
    Case(
        name="resume-streaming",
        work='first batch of an epoch taken up in the middle of 1e8 rows, "streaming"',
        stage=partial(Resuming, "streaming"),
        contenders=(fastbatch_fresh, fastbatch_loaded),
        goals=(Under(fastbatch_loaded, 1e-3, "under 1 ms"),),
        unit="batch",
    ),
]


def test_state(timed, stage, contender):
    timed(stage, contender)
