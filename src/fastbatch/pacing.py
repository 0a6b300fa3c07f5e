"""How fast a curriculum grows: functions of (epoch, progress), for `Curriculum`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastbatch.arguments import as_integer

#: Called with an epoch and how much of it is over, from 0 to below 1; gives the share of rows that are eligible.
Pacing = Callable[[int, float], float]


@dataclass(frozen=True, repr=False)
class _Root:
    start: float
    epochs: float
    power: float

    def __call__(self, epoch: int, progress: float) -> float:
        done = min(1.0, (epoch + progress) / self.epochs)
        floor = self.start**self.power
        return float((floor + (1 - floor) * done) ** (1 / self.power))

    def __repr__(self) -> str:
        return f"root({self.epochs}, start={self.start}, power={self.power})"


@dataclass(frozen=True, repr=False)
class _Step:
    start: float
    factor: float
    every: int

    def __call__(self, epoch: int, progress: float) -> float:
        share = self.start
        for _ in range(epoch // self.every):
            share *= self.factor
            if share >= 1:
                return 1.0
        return share

    def __repr__(self) -> str:
        return f"step({self.every}, start={self.start}, factor={self.factor})"


def root(epochs: float, *, start: float = 0.1, power: float = 2.0) -> Pacing:
    """All rows after some epochs; quickly at first, more slowly then.

    The share of rows is ``(start**power + (1 - start**power) * t / epochs) ** (1 / power)`` after t epochs: competence
    as Platanios et al. have it [1]_, for whom power 2 did best.

    Parameters
    ----------
    epochs : float
        After which all rows are eligible; above 0.
    start : float
        The share to begin with: above 0, at most 1.
    power : float
        At least 1, which is `linear`.

    Raises
    ------
    ValueError
        One of them is out of range.

    References
    ----------
    .. [1] Platanios, Stretcu, Neubig, Poczos and Mitchell, "Competence-based curriculum learning for neural machine
       translation", NAACL 2019.
    """
    if not 0 < epochs < float("inf"):
        raise ValueError(f"epochs must be above 0, got {epochs}")
    if not 1 <= power < float("inf"):
        raise ValueError(f"power must be at least 1, got {power}")
    return _Root(_check_start(start), float(epochs), float(power))


def linear(epochs: float, *, start: float = 0.1) -> Pacing:
    """All rows after some epochs, at an even pace: `root` with power 1.

    Parameters
    ----------
    epochs, start : float
        As in `root`.
    """
    return root(epochs, start=start, power=1.0)


def step(every: int = 1, *, start: float = 0.1, factor: float = 2.0) -> Pacing:
    """Some times as many rows after each so many epochs, until it is all of them [1]_.

    Parameters
    ----------
    every : int
        Epochs of a step: at least 1.
    start : float
        The share to begin with: above 0, at most 1.
    factor : float
        Above 1.

    Raises
    ------
    TypeError
        `every` is no integer.
    ValueError
        One of them is out of range.

    References
    ----------
    .. [1] Hacohen and Weinshall, "On the power of curriculum learning in training deep networks", ICML 2019.
    """
    every = as_integer(every, "every")
    if every < 1:
        raise ValueError(f"every must be at least 1, got {every}")
    if not 1 < factor < float("inf"):
        raise ValueError(f"factor must be above 1, got {factor}")
    return _Step(_check_start(start), float(factor), every)


def _check_start(start: float) -> float:
    if not 0 < start <= 1:
        raise ValueError(f"start must be above 0 and at most 1, got {start}")
    return float(start)
