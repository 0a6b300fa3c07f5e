"""Contenders timed in rotation, and goals judged by the medians.

A contender is a named function of a stage. A stage holds the data of one case. A case says which contenders meet on
which stage and what is asked of them.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


class Stage:
    """The data that the contenders of a case work on, and the check that they do the same work.

    units : what one call of a contender handles, in the unit of the case (rows, batches, ...)
    calls : calls of a contender in one timed repeat, more than one where a call is too short to time
    """

    units = 1
    calls = 1

    def refresh(self, contender):
        """Done before each repeat and not timed: draw what the repeat must not find in a cache or predictor."""

    def check(self, contender):
        """Raise AssertionError unless the contender's result is right."""
        raise NotImplementedError


def play(contender, stage):
    for _ in range(stage.calls):
        contender(stage)


def elapsed(contender, stage):
    """Seconds of one repeat, with the garbage collector off, as timeit does it."""
    gc.disable()
    try:
        start = time.perf_counter()
        play(contender, stage)
        return time.perf_counter() - start
    finally:
        gc.enable()


@dataclass(frozen=True)
class Faster:
    """`contender` takes at most 1/times of what the fastest of `than` takes."""

    contender: Callable
    than: tuple[Callable, ...]
    times: float

    def reached(self, values):
        return min(values[f.__name__] for f in self.than) / values[self.contender.__name__]

    def met(self, reached):
        return reached >= self.times

    @property
    def asked(self):
        return f"at least {self.times:g}x faster"


@dataclass(frozen=True)
class Within:
    """`contender` takes at most `times` what the fastest of `than` takes."""

    contender: Callable
    than: tuple[Callable, ...]
    times: float

    def reached(self, values):
        return values[self.contender.__name__] / min(values[f.__name__] for f in self.than)

    def met(self, reached):
        return reached <= self.times

    @property
    def asked(self):
        return f"at most {self.times:g}x its time"


@dataclass(frozen=True)
class Under:
    """`contender` takes at most `limit` (seconds, or bytes) per unit, in absolute terms."""

    contender: Callable
    limit: float
    words: str
    than: tuple[Callable, ...] = ()

    def reached(self, values):
        return values[self.contender.__name__]

    def met(self, reached):
        return reached <= self.limit

    @property
    def asked(self):
        return self.words


@dataclass(frozen=True)
class PairsWithin(Within):
    """As Within, by the median of the ratios of the pairs: of each round, which a slow minute hits as a whole."""

    def reached(self, values):
        mine = values.repeats[self.contender.__name__]
        theirs = zip(*(values.repeats[f.__name__] for f in self.than), strict=True)
        return median(value / min(rivals) for value, rivals in zip(mine, theirs, strict=True))

    @property
    def asked(self):
        return f"{self.contender.__name__} at most {self.times:g}x its time, median of pairs"


@dataclass(frozen=True)
class Gain:
    """base / contender - 1 is at least `times` (than_base / than - 1), of the fastest of `than` and of `than_base`."""

    contender: Callable
    base: Callable
    than: tuple[Callable, ...]
    than_base: tuple[Callable, ...]
    times: float
    words: str

    def reached(self, values):
        gain = values[self.base.__name__] / values[self.contender.__name__] - 1
        best, best_base = (min(values[f.__name__] for f in rivals) for rivals in (self.than, self.than_base))
        return gain / max(best_base / best - 1, 0.01)  # where the limit gains nothing, ask for next to nothing

    def met(self, reached):
        return reached >= self.times

    @property
    def asked(self):
        return self.words


@dataclass(frozen=True)
class Case:
    """One line of work, done by several contenders.

    stage : builds the data; called with a scale, 1 for the published sizes and less for a smoke test
    unit  : what the stage's `units` count
    meter : (contender, stage) -> seconds or bytes of one repeat
    fewest : rounds that there are at least, however long they take
    """

    name: str
    work: str
    stage: Callable[[float], Stage]
    contenders: tuple[Callable, ...]
    goals: tuple = ()
    unit: str = "row"
    meter: Callable = elapsed
    quantity: str = "s"
    fewest: int = 7

    def run(self, *, quick=False):
        """{contender's name: [value per unit, one per repeat]}, after each one's result was checked."""
        stage = self.stage(0.01 if quick else 1)
        for contender in self.contenders:
            stage.check(contender)
        limits = {"seconds": 0.2, "fewest": 3} if quick else {"fewest": self.fewest}
        repeats = interleave(self, stage, **limits)
        n_units = stage.units * stage.calls
        return {name: [value / n_units for value in values] for name, values in repeats.items()}


def interleave(case, stage, *, fewest, seconds=10.0, most=51):
    """Repeats in the order A B C A B C ..., so that a noisy minute hits every contender alike.

    Goes on until `seconds` are over, within `fewest` and `most` rounds.
    """
    values = {contender.__name__: [] for contender in case.contenders}
    start = time.perf_counter()
    for n_rounds in range(most):
        if n_rounds >= fewest and time.perf_counter() - start > seconds:
            break
        for contender in case.contenders:
            stage.refresh(contender)
            values[contender.__name__].append(case.meter(contender, stage))
    return values


class Medians(dict):
    """{contender's name: its median}, with the `repeats` they are the medians of, for goals that look at pairs."""

    def __init__(self, repeats):
        super().__init__({name: median(values) for name, values in repeats.items()})
        self.repeats = repeats


def medians(values):
    return Medians(values)
