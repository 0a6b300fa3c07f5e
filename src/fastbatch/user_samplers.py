"""Samplers that users bring: iterables of row numbers, and what they must be. See feeding for how they are drawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastbatch._native.sampler import Fed
from fastbatch.delivery import is_array
from fastbatch.feeding import Feed, SharedFeed
from fastbatch.ranks import Ranks
from fastbatch.samplers import Given, Sampler, Sequential, Shuffle


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


def as_sampler(n_rows: int, shuffle: bool, sampler: Any, batch_sampler: Any) -> Sampler | UserSampler:
    """The sampler that a Loader's arguments ask for.

    Raises
    ------
    TypeError
        It is neither one of fastbatch's nor iterable.
    ValueError
        It draws from another number of rows.
    """
    if batch_sampler is not None:
        return UserSampler(batch_sampler, n_rows, batches=True)
    if sampler is None:
        return Shuffle(n_rows) if shuffle else Sequential(n_rows)
    if isinstance(sampler, (list, tuple, range)) or is_array(sampler):
        return Given(n_rows, sampler)  # checked once, and any place of it can be reached
    if not isinstance(sampler, Sampler):
        return UserSampler(sampler, n_rows, batches=False)
    if not sampler.fits(n_rows):
        raise ValueError(f"the sampler draws from {sampler.n} rows, the data has {n_rows}")
    return sampler
