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
class Case:
    """One line of work, done by several contenders.

    stage : builds the data; called with a scale, 1 for the published sizes and less for a smoke test
    unit  : what the stage's `units` count
    meter : (contender, stage) -> seconds or bytes of one repeat
    """

    name: str
    work: str
    stage: Callable[[float], Stage]
    contenders: tuple[Callable, ...]
    goals: tuple = ()
    unit: str = "row"
    meter: Callable = elapsed
    quantity: str = "s"

    def run(self, *, quick=False):
        """{contender's name: [value per unit, one per repeat]}, after each one's result was checked."""
        stage = self.stage(0.01 if quick else 1)
        for contender in self.contenders:
            stage.check(contender)
        repeats = interleave(self, stage, seconds=0.2, fewest=3) if quick else interleave(self, stage)
        n_units = stage.units * stage.calls
        return {name: [value / n_units for value in values] for name, values in repeats.items()}


def interleave(case, stage, *, seconds=10.0, fewest=7, most=51):
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


def medians(values):
    return {name: median(repeats) for name, repeats in values.items()}
