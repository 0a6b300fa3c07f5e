"""The Loader: columns, a sampler, the engine and delivery tied together; it owns (epoch, position)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastbatch._native.batches import Batches
from fastbatch.arguments import as_integer
from fastbatch.batching import Batching, Schedule, check_batching
from fastbatch.columns import make_columns, with_valid, with_weights
from fastbatch.delivery.destination import check_destination
from fastbatch.epochs import Epochs
from fastbatch.explaining import explain
from fastbatch.mapping import MappedBatches, Mapping, check_mapping
from fastbatch.pickling import by_reference, from_reference
from fastbatch.ranks import check_ranks
from fastbatch.samplers import Sampler
from fastbatch.seeding import check_epoch, check_seed
from fastbatch.state import Place, place_from, state_of
from fastbatch.stats import Stats, stats_of
from fastbatch.user_samplers import Planned, UserSampler, as_sampler, given
from fastbatch.workers import check_workers


class Loader:
    """Mini-batches of arrays, in any order.

    The NumPy equivalent of one shuffled epoch over a pair of arrays is::

        order = numpy.random.default_rng((seed, epoch)).permutation(len(x))
        for first in range(0, len(x), batch_size):
            rows = order[first : first + batch_size]
            yield x[rows], y[rows]

    with another order. Iterating gives the batches of one epoch; each new iterator is the next epoch. A batch has the
    structure of `data`. Its arrays are writable, and belong to whoever holds them: their memory is used again when the
    last array, view or tensor over it is gone, and never before.

    Parameters
    ----------
    data : array, or tuple, list, dict, namedtuple or dataclass of arrays, nested
        Arrays of shape (n, ...) and any dtype of fixed-size items: NumPy arrays, memmaps, torch tensors, anything with
        ``__dlpack__`` or the buffer protocol in the CPU's memory, and paths of .npy files, which are mapped. Frames of
        pandas and polars, Arrow tables, Hugging Face datasets, xarray Datasets and .npz files are dicts of their
        columns; torch's TensorDataset is a tuple, also in its Subset and ConcatDataset. Arrays are referred to, not
        copied, unless their rows are not contiguous, or held in another form (`explain` says so). `Ragged` holds rows
        of different lengths; nested tensors, and lists in Arrow tables and datasets, are `Ragged` by themselves.
    batch_size : int, or callable
        Rows of a batch. The last batch of an epoch is shorter when they do not divide evenly. A schedule is called as
        ``batch_size(epoch, samples)`` before each batch, with how many samples of the epoch were delivered, on all
        ranks, and gives the rows of that batch: batches that grow may stand for a learning rate that falls [1]_.
    shuffle : bool
        Whether each epoch has a new random order (`Shuffle`).
    sampler : sampler, or iterable of int or of index arrays, optional
        Which rows, in which order. An array or list is one fixed order. Other iterables are iterated anew each epoch.
    batch_sampler : TokenBudget, or iterable of index arrays, optional
        Each item is one batch; excludes `batch_size`, `shuffle`, `sampler` and `drop_last`.
    drop_last : bool
        Whether a shorter last batch is left out.
    seed : int, optional
        What orders are derived from. None draws one from the operating system, once: see `seed`.
    rank, world_size : int, optional
        Which of how many processes this is. `batch_size` is that of each: the next batch_size x world_size rows of the
        order are cut among them, in turn, so that all together have the order of one, and each as many batches as the
        others. They need the same `seed`. rank="auto": those of torch.distributed where it is in use, else RANK and
        WORLD_SIZE of the environment, else one process.
    uneven : {"wrap", "exact", "pad"}
        What becomes of the last rows of an epoch, fewer than a batch of all ranks: they are cut near-evenly into one
        shorter batch for each. "wrap": the first rows of the order fill them up, so that all ranks have equally many.
        "exact": every row comes once, and the last batch of some ranks is one row shorter, or empty. "pad": as "wrap",
        and each batch carries which of its rows count (bool), as `rows` does, under the key "valid".
    rows : bool
        Whether each batch carries its row numbers (int64): one more element of a tuple or list, the second of a pair
        where data is a bare array, the key "rows" of a dict (which namedtuples and dataclasses become). With a sampler
        that has weights, "weights" (float32) in the same way: what undoes that some rows come more often.
    transforms : transform, sequence of transforms, or these in the shape of `data`, optional
        What is done with rows while they are written into the batch, in the same pass: `Cast`, `Scale`, `Normalize`,
        `OneHot`; with images `Layout`, `RandomCrop`, `CenterCrop`, `RandomResizedCrop`, `RandomFlip`, `Cutout`; under
        the names of several arrays `MixUp` and `CutMix`. For an array or a `Ragged`, a sequence of them; for a tuple or
        list, one such item (or None) for each array, or a mapping from their numbers; for a dict, namedtuple or
        dataclass, a mapping from names:
        ``transforms={"x": [fb.Cast("float32"), fb.Normalize(mean, std)]}``.
    output : {"numpy", "torch", "jax"}, optional
        What batches are made of. None: arrays for arrays, tensors for tensors. A jax.Array on the CPU is the buffer
        itself, which stays as it is for as long as JAX holds it.
    device : torch.device, jax.Device, jax.sharding.Sharding, str or int, optional
        Where batches are handed over. A device of torch makes them tensors; those of a CUDA device are copied from
        pinned memory on a stream of their own, two batches ahead, and ordered against the stream that is current where
        the batch is asked for. With output="jax", a device, a sharding (which the last batch has to suit, or
        `drop_last` leaves out) or a platform's name: `jax.device_put` two batches ahead.
    pin_memory : bool, optional
        Whether batches are filled in pinned memory, which a GPU copies from by itself. Without a `device` they are
        pinned tensors of the CPU; where torch finds no CUDA, ordinary ones, with a warning. None: with a CUDA device.
    threads : int, optional
        Native threads that fill batches ahead of whoever iterates, without the GIL; 0 for none. None tries it out on
        the first batches, on the cores that this process may use, and keeps what is faster (`explain` says which).
        The batches are the same for any number.
    prefetch : int, optional
        Batches that the threads may fill ahead. None: 2 to 7, as fit into 64 MB.
    map : callable, optional
        Called with each batch, in order, by whoever iterates; what it returns is handed out instead.
    map_threads : int
        Python threads that call `map` ahead of whoever iterates, who gets the results in order; 0 for none.

    Attributes
    ----------
    epoch : int
        The epoch of the iterator started last, or the one that comes next.
    seed, batch_size, rank, world_size : int
    remaining : int
        Batches left in the epoch.

    Raises
    ------
    TypeError
        A leaf of the data is no array, or holds references, or has no counterpart in the output's framework; a sampler
        is not iterable; an argument is of another type.
    ValueError
        Columns differ in length; arguments exclude each other or are out of range; a sampler draws from another number
        of rows.
    OSError
        While iterating: a mapped file was truncated before the epoch began.
    IndexError
        A row number in `sampler` is out of range; while iterating, one that an iterable gives.
    ImportError
        The framework that `output` names is not installed.
    MemoryError
        While iterating: no memory for an order or a batch. No row is lost, and the iterator can be asked again.
    RuntimeError
        There is no such device; while iterating: the Loader is closed.

    References
    ----------
    .. [1] Smith, Kindermans, Ying and Le, "Don't decay the learning rate, increase the batch size", ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> import fastbatch as fb
    >>> x, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    >>> loader = fb.Loader((x, y), 4, shuffle=True, seed=0)
    >>> [len(labels) for features, labels in loader]
    [4, 4, 2]
    """

    def __init__(
        self,
        data: Any,
        batch_size: int | Schedule | None = None,
        *,
        shuffle: bool = False,
        sampler: Sampler | Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        drop_last: bool = False,
        seed: int | None = None,
        rank: int | str | None = None,
        world_size: int | None = None,
        uneven: str = "wrap",
        rows: bool = False,
        transforms: Any = None,
        output: str | None = None,
        device: Any = None,
        pin_memory: bool | None = None,
        threads: int | None = None,
        prefetch: int | None = None,
        map: Callable[[Any], Any] | None = None,
        map_threads: int = 0,
    ) -> None:
        size = check_batching(batch_size, shuffle, sampler, batch_sampler, drop_last)
        self._ranks = check_ranks(rank, world_size, uneven, seed)
        self._workers = check_workers(threads, prefetch)
        map_threads = check_mapping(map, map_threads)
        self._destination = check_destination(output, device, pin_memory)
        self._seed = check_seed(seed)
        self._arguments = {
            "data": data,
            "rank": rank if rank == "auto" else self._ranks.rank,
            "world_size": None if rank == "auto" else self._ranks.world_size,
            "uneven": uneven,
            "rows": rows,
            "transforms": transforms,
            "output": output,
            "device": device,
            "pin_memory": pin_memory,
            "threads": threads,
            "prefetch": prefetch,
            "map": map,
            "map_threads": map_threads,
        }
        self._columns = make_columns(data, output=self._destination.output, rows=rows, transforms=transforms)
        columns = self._columns
        self._sampler = as_sampler(columns.n_rows, shuffle, sampler, batch_sampler, columns.padded)
        if rows and isinstance(self._sampler, Sampler) and self._sampler.weighs:
            self._columns = with_weights(self._columns, self._sampler.importances())
        if map_threads and self._sampler.native.live:
            raise ValueError(
                f"map_threads={map_threads} takes batches before they are asked for, and a sampler that follows "
                "updates has to know which were: give map alone"
            )
        self._map, self._mapping = map, self._make_mapping(map, map_threads)
        self._batching = Batching(size, self._sampler.multiple, self._ranks.world_size, drop_last=bool(drop_last))
        if uneven == "pad":
            if isinstance(self._sampler, Planned):
                raise ValueError('uneven="pad" needs a batch_size: with a TokenBudget no batch has rows to fill it up')
            if isinstance(self._sampler, UserSampler):
                raise ValueError('uneven="pad" needs one of fastbatch\'s samplers: an iterable does not say its length')
            self._columns = with_valid(self._columns, len(self._sampler))
        self._epochs = Epochs(
            self._columns,
            self._sampler,
            self._batching,
            self._ranks,
            self._destination,
            self._workers,
            relayed=self._mapping is not None,
            seed=self._seed,
        )

    @property
    def batch_size(self) -> int | None:
        """Rows of a batch; with a schedule, of the next one; None with a `batch_sampler`.

        Another one may be set at any time: the next batch has it, and no row is lost or comes twice. All ranks have to
        set it at the same batch. With `map_threads` or a `device` the batches that are on their way come first.

        Raises
        ------
        TypeError
            It is set to what is no integer.
        ValueError
            It is out of range, no multiple of the rows of a group, or there is a schedule or a `batch_sampler`.
        """
        return self._batching.at(*self._epochs.place()[:2])

    @batch_size.setter
    def batch_size(self, batch_size: int) -> None:
        self._epochs.resize(self._batching.resize(batch_size))

    @property
    def rank(self) -> int:
        """Which of the processes that share the order this is."""
        return self._ranks.rank

    @property
    def world_size(self) -> int:
        """How many processes share the order."""
        return self._ranks.world_size

    @property
    def seed(self) -> int:
        """What orders are derived from."""
        return self._seed

    @property
    def epoch(self) -> int:
        """The epoch of the iterator started last, or the one that comes next."""
        return self._epochs.place().epoch

    @property
    def remaining(self) -> int:
        """Batches left in the epoch; of a whole one when none has begun.

        Raises
        ------
        TypeError
            The sampler has no length, or its items are batches of sizes that nobody knows.
        """
        epoch, position, _ = self._epochs.place()
        return self._epochs.n_batches(epoch, position)

    def __len__(self) -> int:
        """Batches of a whole epoch; with a schedule or a `TokenBudget`, of the present one.

        Raises
        ------
        TypeError
            The sampler has no length.
        """
        return self._epochs.n_batches(self.epoch, 0)

    def __iter__(self) -> Batches | MappedBatches:
        """An iterator over the next epoch, which begins at its first `next`."""
        self._require_open()
        if self._mapping is None:
            return Batches(self._epochs.begin, self._map)
        return MappedBatches(Batches(self._epochs.begin), self._mapping)

    def batch(self, epoch: int, i: int) -> Any:
        """Batch i of an epoch, by itself: nothing else of the Loader changes.

        Parameters
        ----------
        epoch, i : int
            Not negative; `i` below ``len(loader)``.

        Raises
        ------
        IndexError
            There is no such batch.
        ValueError
            The epoch is negative, or beyond 64 bits.
        TypeError
            The rows come from an iterable, which cannot be asked for one batch.
        MemoryError
            There is none for the order or the batch.
        RuntimeError
            The Loader is closed.

        Notes
        -----
        The first call for an epoch prepares its order; calls for the same epoch share it. The batch does not go
        through `map`.
        """
        self._require_open()
        epoch, i = check_epoch(epoch), as_integer(i, "i")
        if isinstance(self._sampler, UserSampler):
            raise TypeError("batch(epoch, i) needs one of fastbatch's samplers: an iterable has no batch by number")
        if self._sampler.native.live:
            raise TypeError("batch(epoch, i) needs an order that nothing changes: this sampler follows updates")
        n_batches = self._epochs.n_batches(epoch, 0)
        if not 0 <= i < n_batches:
            raise IndexError(f"batch {i} is out of range for an epoch of {n_batches} batches")
        batch = self._epochs.batch(epoch, i)
        if (carrier := self._destination.carrier) is not None:
            carrier.receive(batch, carrier.mark())
        return batch

    def set_epoch(self, epoch: int) -> None:
        """Let the next iterator begin this epoch.

        Parameters
        ----------
        epoch : int
            With the epoch of a state that was loaded and not begun, its position is kept.

        Raises
        ------
        TypeError
            Not an integer.
        ValueError
            Negative, or beyond 64 bits.
        """
        epoch = check_epoch(epoch)
        if not self._epochs.keeps(epoch):
            self._epochs.move_to(Place(epoch, 0))

    def state_dict(self) -> dict[str, Any]:
        """The place reached, as a few integers and names that JSON can hold.

        Rows count as reached when their batch was delivered. The state can be loaded with another batch size, and on
        another number of ranks. A batch size that was set is part of it.
        """
        return state_of(self._epochs.place(), self._seed, self._sampler, self._columns.n_rows, self._batching.moved)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iterator begin where `state` was taken; the seed becomes the state's.

        So does the batch size, where it had been set; else the present one stays.

        Raises
        ------
        TypeError
            The state is no mapping, or an entry of it no integer.
        ValueError
            The state is of another format or order version, of data of another length, or of another sampler; or it
            lies inside an epoch of a sampler that cannot be taken up there. The Loader stays where it is.
        """
        seed, place = place_from(state, self._sampler, self._columns.n_rows)
        self._batching.load(state.get("batch_size"))
        self._seed = seed
        self._epochs.reseed(seed)
        self._epochs.move_to(place)

    def stats(self, *, reset: bool = False) -> Stats:
        """What was done so far, and how long it was waited for.

        Parameters
        ----------
        reset : bool
            Whether to count from 0 again.
        """
        report = self._epochs.engine.report(reset=reset)
        if self._mapping is not None:
            report.update(self._mapping.report(reset=reset))
        return stats_of(report)

    def explain(self) -> str:
        """The plan in words: columns, order, threads, memory, and any copy that had to be made."""
        return explain(
            self._columns,
            self._sampler,
            self._batching,
            self._ranks,
            self._seed,
            self.epoch,
            self._epochs.engine,
            self._workers,
            self._mapping,
            self._destination,
        )

    def close(self) -> None:
        """Give memory back and end all iterators and threads. Batches that were handed out stay valid."""
        self._epochs.close()
        if self._mapping is not None:
            self._mapping.close()

    def __enter__(self) -> Loader:
        """The Loader itself, closed at the end of the block."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the Loader."""
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """What pickle keeps: mapped files by path and offset, other data by value; the place; no batch."""
        state = self.state_dict()
        place_from(state, self._sampler, self._columns.n_rows)  # a place that cannot be taken up is refused now
        return {
            "arguments": {**self._arguments, "data": by_reference(self._arguments["data"])},
            "batch_size": self._batching.schedule or self._batching.size,
            "drop_last": self._batching.drop_last,
            "sampler": given(self._sampler),
            "state": state,
        }

    def __setstate__(self, kept: dict[str, Any]) -> None:
        """A Loader at the same place, over the same files."""
        arguments = {**kept["arguments"], "data": from_reference(kept["arguments"]["data"])}
        which = "batch_sampler" if kept["batch_size"] is None else "sampler"
        self.__init__(  # type: ignore[misc]
            batch_size=kept["batch_size"],
            drop_last=kept["drop_last"],
            seed=kept["state"]["seed"],
            **{which: kept["sampler"]},
            **arguments,
        )
        self.load_state_dict(kept["state"])

    def __repr__(self) -> str:
        """Rows, batches and the place."""
        epoch, position, _ = self._epochs.place()
        closed = ", closed" if self._epochs.engine.closed else ""
        return (
            f"Loader({len(self._columns.columns)} columns of {self._columns.n_rows} rows, "
            f"batch_size={self._batching.size}, sampler={self._sampler!r}, drop_last={self._batching.drop_last}, "
            f"seed={self._seed}; epoch {epoch}, position {position}{closed})"
        )

    def _make_mapping(self, function: Callable[[Any], Any] | None, n_threads: int) -> Mapping | None:
        """What takes batches from the engine to whoever iterates, unless they do so themselves."""
        carrier = self._destination.carrier
        if carrier is None and n_threads == 0:
            return None
        if self._sampler.native.live:  # it has to know which batches were asked for
            return Mapping(function, n_threads, carrier, copies_ahead=0)
        return Mapping(function, n_threads, carrier)

    def _require_open(self) -> None:
        if self._epochs.engine.closed:
            raise RuntimeError("the Loader is closed")
