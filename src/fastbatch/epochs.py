"""Where a Loader is among its epochs, and how one is begun."""

from __future__ import annotations

import functools
import threading
from typing import Any

from fastbatch import lifetimes
from fastbatch._native.batches import Batches, Epoch
from fastbatch._native.engine import Engine
from fastbatch.batching import Batching
from fastbatch.columns import Columns
from fastbatch.delivery.destination import Destination
from fastbatch.feeding import Feed
from fastbatch.planned import PlannedFeed
from fastbatch.ranks import Ranks
from fastbatch.samplers import Sampler
from fastbatch.seeding import root_key
from fastbatch.state import Place
from fastbatch.user_samplers import Planned, UserSampler
from fastbatch.workers import choose_workers

# What a forked child must not touch.
_ABANDONED: list[object] = []


class Epochs:
    """The epochs of a Loader: which one was begun last and how far it has got, or which one comes next.

    Parameters
    ----------
    columns : Columns
    sampler : Sampler, UserSampler or Planned
    batching : Batching
    ranks : Ranks
    destination : Destination
    workers : tuple of (int or None, int or None)
        As `check_workers` gives them.
    relayed : bool
        Whether batches go through other hands before whoever iterates has them.
    seed : int
        What orders are derived from.

    Attributes
    ----------
    engine : Engine
        Of this process.
    """

    def __init__(
        self,
        columns: Columns,
        sampler: Sampler | UserSampler | Planned,
        batching: Batching,
        ranks: Ranks,
        destination: Destination,
        workers: tuple[int | None, int | None],
        *,
        relayed: bool,
        seed: int,
    ) -> None:
        self._columns, self._sampler, self._batching, self._ranks = columns, sampler, batching, ranks
        self._destination, self._workers = destination, workers
        self._is_relayed = relayed
        self.engine = self._make_engine()
        # The epoch begun last and what feeds it; or, while there is none, where the next one begins.
        self._start = Place(0, 0)
        # One, so that other threads see two that belong together.
        self._live: tuple[Epoch, Feed | PlannedFeed | None] | None = None
        self._indexed: Epoch | None = None  # what batch() draws from
        self._key = root_key(seed)
        self._make_locks()
        lifetimes.register(self)

    def place(self) -> Place:
        """The place of the epoch begun last, or where the next one begins."""
        if (begun := self._live) is None:
            return self._start
        epoch, feed = begun
        if epoch.exhausted:
            return Place(epoch.number + 1, 0)
        return Place(epoch.number, epoch.position) if feed is None else Place(epoch.number, *feed.place(epoch))

    def move_to(self, place: Place) -> None:
        """Let the next iterator begin there."""
        self._start = place
        self._live = None

    def keeps(self, epoch: int) -> bool:
        """Whether this epoch comes next in any case; it may have been prepared."""
        return (self._live is None or self._live[0].exhausted) and epoch == self.place().epoch

    def reseed(self, seed: int) -> None:
        """Derive the orders to come from another seed."""
        self._key = root_key(seed)
        self._indexed = None

    def resize(self, batch_size: int) -> None:
        """Let the next batch have this size."""
        self._indexed = None
        if self._live is not None and not self._live[0].exhausted:
            epoch, feed = self._live
            assert not isinstance(feed, PlannedFeed)  # whose batches have sizes of their own
            _resize(epoch, feed, batch_size)

    def begin(self, batches: Batches) -> None:
        """Open an iterator's epoch, at its first `next`. The place stays where it is when that fails."""
        with self._beginning:
            if batches.started:  # by another thread that shares the iterator
                return
            self._check_files()
            last = self._live[0] if self._live is not None else None
            number, position, sampler_state = self._start if last is None else (last.number + 1, 0, None)
            size = self._batching.begin(number, position)
            feed: Feed | PlannedFeed | None = None
            if isinstance(self._sampler, Planned):
                feed = self._sampler.feed(self._key, number, position, self._ranks)
            elif isinstance(self._sampler, UserSampler):
                feed = self._sampler.feed(
                    number, position, size, sampler_state, self._ranks, drop_last=self._batching.drop_last
                )
            epoch = self._open(number, position, fed=feed is not None, after=last)
            if self._is_relayed:
                epoch.relay(position)
            before = None if self._batching.schedule is None else functools.partial(self._follow_schedule, epoch, feed)
            if batches.start(epoch, feed, before):
                self._live = epoch, feed

    def n_batches(self, epoch: int, position: int) -> int:
        """How many batches of an epoch begin at a position or behind it; TypeError where that is not known."""
        if isinstance(self._sampler, Planned):
            return len(self._sampler.steps(self._key, epoch, position, self._ranks))
        return self._batching.n_batches(epoch, position, len(self._sampler))

    def batch(self, epoch: int, i: int) -> Any:
        """Batch i of an epoch, which must have one: nothing else changes."""
        with self._indexing:
            if isinstance(self._sampler, Planned):
                return self._planned_batch(self._sampler, epoch, i)
            indexed, self._indexed = self._indexed, None  # a signal handler that comes in between makes its own
            if indexed is None or indexed.number != epoch:
                self._check_files()
                indexed = None  # its order goes before the next one comes
                indexed = self._open(epoch, 0, helped=False)
            position, size = self._batching.batch(epoch, i, len(self._sampler))
            if indexed.batch_size != size:
                indexed.set_batch_size(size)
            batch = indexed.at(position)
            self._indexed = indexed
            return batch

    def _planned_batch(self, sampler: Planned, epoch: int, i: int) -> Any:
        self._check_files()
        steps = sampler.steps(self._key, epoch, 0, self._ranks)
        begin, end = int(steps.begins[i]), int(steps.ends[i])
        one = self._open(epoch, begin, fed=True, helped=False)
        one.feed(sampler.rows(self._key, epoch)[begin:end], begin)
        batches = Batches(lambda batches: None)
        batches.start(one)
        return next(batches)

    def close(self) -> None:
        """End all iterators, and threads."""
        self.engine.close()  # first, so that nobody begins an epoch at this place once more
        self.move_to(self.place())
        self._indexed = None
        self._equipment.close()

    def _start_afresh(self) -> None:
        """In a child after a fork: go on from the same place, with locks, threads and memory of its own."""
        _ABANDONED.append((self.engine, self._live, self._indexed))
        self._indexed = None
        self._make_locks()
        if self._live is not None and self._live[1] is not None:
            self._live[1].make_lock()
        if not self.engine.closed:
            self.engine = self._make_engine()
        self.move_to(self.place())

    def _stop_threads(self) -> None:
        """At the end of the interpreter: go on without threads."""
        self.engine.stop_threads()

    def _make_engine(self) -> Engine:
        batch_nbytes = None
        if self._batching.size is not None:
            batch_nbytes = sum(column.usual_nbytes(self._batching.size) for column in self._columns.columns)
        workers = choose_workers(*self._workers, batch_nbytes)
        self._equipment = self._destination.equip(self._columns.columns, self._columns.wraps, workers.n_ahead)
        wraps, allocators, restock, n_spare, _ = self._equipment
        return Engine(
            self._columns.columns,
            self._columns.structure,
            wraps,
            names=self._columns.paths,
            allocators=allocators,
            restock=restock,
            n_spare=n_spare,
            **workers._asdict(),
        )

    def _make_locks(self) -> None:
        # Reentrant, because signal handlers may iterate too.
        self._beginning, self._indexing = threading.RLock(), threading.RLock()

    def _check_files(self) -> None:
        for name, file in self._columns.files:
            file.check(name)

    def _open(
        self, number: int, position: int, *, fed: bool = False, helped: bool = True, after: Epoch | None = None
    ) -> Epoch:
        rank, n_ranks, uneven = self._ranks if not fed else Ranks()  # who feeds cuts
        as_fed = fed and self._ranks.world_size > 1
        return Epoch(
            self.engine,
            self._sampler.native_at(number) if isinstance(self._sampler, Sampler) else self._sampler.native,
            self._key,
            number,
            position,
            0 if as_fed else self._batching.size or 0,
            drop_last=self._batching.drop_last and not as_fed,
            rank=rank,
            n_ranks=n_ranks,
            unit=self._sampler.multiple,
            exact=uneven == "exact",
            fed=fed,
            helped=helped,
            after=after,
        )

    def _follow_schedule(self, epoch: Epoch, feed: Feed | PlannedFeed | None) -> None:
        """Before each batch: its size."""
        assert not isinstance(feed, PlannedFeed)
        position = epoch.delivered if feed is None else feed.position_drawn(epoch)
        size = self._batching.at(epoch.number, position)
        assert size is not None
        if (epoch if feed is None else feed).batch_size != size:
            _resize(epoch, feed, size)


def _resize(epoch: Epoch, feed: Feed | None, batch_size: int) -> None:
    """Let the next batch of an epoch have another size."""
    if feed is None:
        epoch.set_batch_size(batch_size)
    else:
        feed.set_batch_size(epoch, batch_size)
