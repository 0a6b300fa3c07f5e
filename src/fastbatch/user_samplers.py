"""Samplers that say what a batch is, or come from elsewhere: what feeds an epoch. See feeding and planned for how."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fastbatch._native.sampler import Fed
from fastbatch.delivery import is_array
from fastbatch.feeding import Feed, SharedFeed
from fastbatch.planned import PlannedFeed, Steps
from fastbatch.ragged import Ragged
from fastbatch.ranks import Ranks
from fastbatch.samplers import Given, Plan, Sampler, Sequential, Shuffle, TokenBudget


class UserSampler:
    """An iterable of row numbers, or of batches of them.

    Parameters
    ----------
    iterable : iterable of int, or of index arrays
        With `batches`, each item is one batch. Before an epoch its ``set_epoch(epoch)`` is called, if it has one.
    n : int
        Rows of the data: row numbers are checked against it.
    batches : bool
        Whether items are batches (torch's ``batch_sampler``) or a stream of rows (``sampler``).
    """

    multiple = 1

    def __init__(self, iterable: Iterable[Any], n: int, *, batches: bool) -> None:
        if not isinstance(iterable, Iterable):
            raise TypeError(
                f"a sampler must be one of fastbatch's, or iterable over row numbers, got {type(iterable).__name__}"
            )
        self.iterable = iterable
        self.batches = batches
        self.native = Fed(n)
        self._was_used = False

    def __len__(self) -> int:
        """Rows of an epoch, or batches; TypeError where the iterable does not say."""
        return len(self.iterable)  # type: ignore[arg-type]

    def can_resume(self, state: Any) -> bool:
        """Whether an epoch can be taken up in the middle, given what `Feed.state` saved there."""
        return state is not None and hasattr(self.iterable, "load_state_dict")

    @property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state, as far as can be told."""
        return f"{type(self.iterable).__module__}.{type(self.iterable).__qualname__}"

    def feed(
        self, epoch: int, position: int, batch_size: int | None, state: Any, ranks: Ranks, *, drop_last: bool
    ) -> Feed:
        """Begin an epoch at `position`, with what `Feed.state` saved there; no `batch_size`: items are batches.

        Raises
        ------
        RuntimeError
            The iterable is an iterator: it has one epoch, and that is over.
        """
        if hasattr(self.iterable, "set_epoch"):
            self.iterable.set_epoch(epoch)
        skip = 0
        if state is not None and position > 0:
            self.iterable.load_state_dict(state["state"])  # type: ignore[attr-defined]
            skip = state["skip"]
        items = iter(self.iterable)
        if items is self.iterable and self._was_used and not hasattr(items, "state_dict"):
            raise RuntimeError("the sampler is an iterator, which has one epoch: give an iterable that begins anew")
        self._was_used = True
        snapshot = getattr(items, "state_dict", None) or getattr(self.iterable, "state_dict", None)
        if ranks.world_size == 1:
            return Feed(items, snapshot, batch_size, position, skip)
        head = state.get("head", []) if state is not None and position > 0 else None
        return SharedFeed(items, snapshot, batch_size, position, skip, ranks, head, drop_last=drop_last)

    def __repr__(self) -> str:
        """What it is."""
        return f"{'batches' if self.batches else 'rows'} from {self.iterable!r}"


class Planned:
    """Batches that are planned for a whole epoch when it begins.

    Parameters
    ----------
    sampler : TokenBudget
    """

    multiple = 1

    def __init__(self, sampler: TokenBudget) -> None:
        self.sampler = sampler
        self.native = Fed(sampler.n)
        self._made: tuple[tuple[int, int], int, Plan] | None = None  # the last plan, and of which epoch it is

    def __len__(self) -> int:
        """Rows of an epoch."""
        return len(self.sampler)

    @property
    def fingerprint(self) -> str:
        """What tells this sampler from another in a saved state."""
        return self.sampler.fingerprint

    def steps(self, key: tuple[int, int], epoch: int, position: int, ranks: Ranks) -> Steps:
        """The batches of an epoch for one rank, from a position on."""
        return Steps(self._plan(key, epoch).starts, position, ranks)

    def feed(self, key: tuple[int, int], epoch: int, position: int, ranks: Ranks) -> PlannedFeed:
        """Begin an epoch at `position`."""
        plan = self._plan(key, epoch)
        return PlannedFeed(self.sampler.n, plan.rows, Steps(plan.starts, position, ranks), position)

    def rows(self, key: tuple[int, int], epoch: int) -> Any:
        """The rows of an epoch, batch after batch."""
        return self._plan(key, epoch).rows

    def _plan(self, key: tuple[int, int], epoch: int) -> Plan:
        made = self._made
        if made is None or made[:2] != (key, epoch):
            made = self._made = (key, epoch, self.sampler.plan(key, epoch))
        return made[2]

    def __repr__(self) -> str:
        """What it is."""
        return repr(self.sampler)


def given(sampler: Sampler | UserSampler | Planned) -> Any:
    """What a Loader has to be given for it, as its `sampler` or `batch_sampler`."""
    if isinstance(sampler, Planned):
        return sampler.sampler
    return sampler.iterable if isinstance(sampler, UserSampler) else sampler


def as_sampler(
    n_rows: int, shuffle: bool, sampler: Any, batch_sampler: Any, padded: Sequence[tuple[str, Ragged]]
) -> Sampler | UserSampler | Planned:
    """The sampler that a Loader's arguments ask for.

    Parameters
    ----------
    n_rows : int
        Of the data.
    padded : sequence of (str, Ragged)
        Path and rows of each column that is padded.

    Raises
    ------
    TypeError
        It is neither one of fastbatch's nor iterable.
    ValueError
        It draws from another number of rows, or counts rows for less than they are padded to.
    """
    if isinstance(batch_sampler, TokenBudget):
        if batch_sampler.n != n_rows:
            raise ValueError(f"the batch_sampler has lengths of {batch_sampler.n} rows, the data has {n_rows}")
        for path, ragged in padded:
            _check_widths(batch_sampler, path, ragged)
        return Planned(batch_sampler)
    if isinstance(batch_sampler, Sampler):
        kind = type(batch_sampler).__name__
        raise TypeError(f"a {kind} says which rows come, and not what a batch is: give it as sampler, with batch_size")
    if batch_sampler is not None:
        return UserSampler(batch_sampler, n_rows, batches=True)
    if isinstance(sampler, TokenBudget):
        raise TypeError("a TokenBudget says what a batch is: give it as batch_sampler, without batch_size")
    if sampler is None:
        return Shuffle(n_rows) if shuffle else Sequential(n_rows)
    if isinstance(sampler, (list, tuple, range)) or is_array(sampler):
        return Given(n_rows, sampler)  # checked once, and any place of it can be reached
    if not isinstance(sampler, Sampler):
        return UserSampler(sampler, n_rows, batches=False)
    if not sampler.fits(n_rows):
        raise ValueError(f"the sampler draws from {sampler.n} rows, the data has {n_rows}")
    return sampler


def _check_widths(budget: TokenBudget, path: str, ragged: Ragged) -> None:
    """ValueError where a row is padded to more than a budget counts: only where none is, no batch is."""
    widths, counts, options = ragged.widths, budget.widths, ragged.options
    rows = np.arange(len(widths)) if budget.rows is None else budget.rows
    wider = widths[rows] > counts
    if not wider.any():
        return
    place = int(np.argmax(wider))
    row, counted = rows[place], f"{counts[place]} (multiple={budget.multiple})"
    padded_by, advice = f"multiple={options.multiple}", "give it the lengths and the multiple of the Ragged"
    if options.length is not None:
        padded_by, advice = f"length={options.length}", "rows that are all padded to one length need a batch_size"
    raise ValueError(
        f"{path}: the batch_sampler must count what rows are padded to, and row {row}, {ragged.lengths[row]} long, is "
        f"padded to {widths[row]} ({padded_by}), and counted as {counted}: {advice}"
    )
