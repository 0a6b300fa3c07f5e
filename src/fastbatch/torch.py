"""fastbatch where a torch Dataset or DataLoader is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, cast

from torch.utils.data import DataLoader, Dataset, IterableDataset

from fastbatch.gathering import Gatherer
from fastbatch.loader import Loader
from fastbatch.pickling import by_reference, from_reference

Batch = TypeVar("Batch")


def as_it_is(batch: Batch) -> Batch:
    """The batch: what torch is given to collate with, because it is one already."""
    return batch


class BatchDataset(Dataset[Any]):  # type: ignore[misc]
    """Arrays as a map-style dataset whose batches are gathered at once, for a torch DataLoader.

    ::

        DataLoader(BatchDataset((x, y)), 256, shuffle=True, collate_fn=BatchDataset.collate)

    gives the batches of ``DataLoader(TensorDataset(x, y), 256, shuffle=True)``, and takes every sampler, rank and
    number of workers that torch does. A `Loader` is faster still.

    Parameters
    ----------
    data : array, or structure of arrays
        As `Loader` takes it.
    output : {"torch", "numpy"}
        What batches are made of.

    Raises
    ------
    TypeError, ValueError
        As by `Loader`.
    """

    #: To be given as `collate_fn`.
    collate = staticmethod(as_it_is)

    def __init__(self, data: Any, *, output: str = "torch") -> None:
        self._data, self._output = data, output
        self._gatherer = Gatherer(data, output=output)

    def __len__(self) -> int:
        """Rows."""
        return len(self._gatherer)

    def __getitem__(self, index: int) -> Any:
        """One row, in the structure of the data."""
        return self._gatherer.sample(index)

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """Rows as one batch, in the structure of the data."""
        return self._gatherer.batch(indices)

    def __getstate__(self) -> dict[str, Any]:
        """What workers that are spawned get: mapped files by path."""
        return {"data": by_reference(self._data), "output": self._output}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        """The same over the same files."""
        self.__init__(from_reference(kept["data"]), output=kept["output"])  # type: ignore[misc]


class LoaderDataset(IterableDataset[Any]):  # type: ignore[misc]
    """A Loader as a dataset whose items are its batches.

    Attributes
    ----------
    loader : Loader
    """

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[Any]:
        """The batches of the next epoch."""
        return iter(self.loader)

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.loader)

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be this epoch."""
        self.loader.set_epoch(epoch)


class LoaderDataLoader(DataLoader[Any]):  # type: ignore[misc]
    """What `as_dataloader` gives: a DataLoader whose state is that of its Loader."""

    def __init__(self, loader: Loader) -> None:
        super().__init__(LoaderDataset(loader), batch_size=None, collate_fn=as_it_is)

    def state_dict(self) -> dict[str, Any]:
        """The Loader's."""
        return cast(dict[str, Any], self.dataset.loader.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iterator begin where `state` was taken."""
        self.dataset.loader.load_state_dict(state)

    def set_epoch(self, epoch: int) -> None:
        """Let the next iterator begin this epoch."""
        self.dataset.set_epoch(epoch)


def as_dataloader(loader: Loader) -> LoaderDataLoader:
    """A torch DataLoader that gives the batches of a Loader, for whatever insists on one.

    Its batches, their number, their order and its state are the Loader's, so that trainers that save the state of a
    DataLoader, as Lightning does, resume at the next row. Ranks are the Loader's as well: give it ``rank="auto"``, and
    let the trainer share nothing (Accelerate's `prepare` would).

    Parameters
    ----------
    loader : Loader

    Returns
    -------
    torch.utils.data.DataLoader
        Without workers: the Loader has threads. Its ``dataset.loader`` is the Loader.

    Raises
    ------
    TypeError
        It is no Loader.
    """
    if not isinstance(loader, Loader):
        raise TypeError(f"loader must be a fastbatch.Loader, got {type(loader).__name__}")
    return LoaderDataLoader(loader)
