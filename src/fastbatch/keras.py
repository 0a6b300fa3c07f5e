"""fastbatch where a Keras PyDataset is asked for."""

from __future__ import annotations

import threading
from typing import Any

import keras

from fastbatch.loader import Loader
from fastbatch.user_samplers import Planned


class LoaderPyDataset(keras.utils.PyDataset):  # type: ignore[misc]
    """What `as_pydataset` gives: a dataset of which each pass is the next epoch of a Loader.

    Attributes
    ----------
    loader : Loader

    Notes
    -----
    Unless it is told not to, `fit` asks for the batches of an epoch by permuted numbers, and nothing that a dataset can
    say prevents that. So within a pass the number does not count: what is asked for first is the Loader's first batch.
    That takes somebody who asks for one after the other, as Keras does without workers.

    Nor does Keras say where a pass begins. It drops one that it began to build a model by, and with `steps_per_epoch`
    epochs begin and end within one. But it reads `num_batches` before each pass, and never within one.
    """

    def __init__(self, loader: Loader) -> None:
        super().__init__()
        self.loader = loader
        self._lock = threading.Lock()  # TensorFlow asks from threads of its own
        self._epoch = loader.epoch  # of the pass
        self._n_given = 0  # batches of the pass; 0 between passes
        self._is_in_epoch = False  # Keras's
        self._is_read = False  # whether num_batches was, since the last batch

    @property
    def workers(self) -> int:
        """None: of a pass that is dropped, Keras's queue would give the rest in the next one."""
        return 0

    @property
    def num_batches(self) -> int:
        """Batches of an epoch, as Keras asks for them; `len` is for everybody else."""
        self._is_read = True  # see the Notes
        return len(self)

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.loader)

    def __getitem__(self, index: int) -> Any:
        """Within a pass of Keras, the next batch; else batch `index` of the Loader's epoch."""
        with self._lock:
            self._move_on()  # where the last epoch was broken off behind its last batch
            if self._n_given == 0:
                self._epoch = self.loader.epoch
            if self._n_given > 0 or self._is_in_epoch:  # else somebody wants to see shapes, say
                index = self._n_given
                self._n_given += 1
            self._is_read = False
            epoch = self._epoch
        return batch_of(self.loader, epoch, index)

    def on_epoch_begin(self) -> None:
        """Drop a pass that was broken off."""
        self._end_pass()
        self._is_in_epoch = True

    def on_epoch_end(self) -> None:
        """Move the Loader on to its next epoch, when all batches of this one were given."""
        self._end_pass()
        self._is_in_epoch = False

    def _end_pass(self) -> None:
        with self._lock:
            self._move_on()
            if self._is_read:
                self._n_given = 0

    def _move_on(self) -> None:
        if self._n_given == len(self):
            if self.loader.epoch == self._epoch:  # else somebody has set it
                self.loader.set_epoch(self._epoch + 1)
            self._n_given = 0


def batch_of(loader: Loader, epoch: int, i: int) -> Any:
    """Batch i of an epoch, as Keras takes it: a dict, or a tuple of 1 to 3."""
    batch = loader.batch(epoch, i)
    if loader._map is not None:
        batch = loader._map(batch)
    batch = with_tuples(batch)
    return batch if isinstance(batch, (dict, tuple)) else (batch,)


def with_tuples(batch: Any) -> Any:
    """The batch with plain tuples for lists, which TensorFlow takes for arrays, and for namedtuples."""
    if isinstance(batch, dict):
        return {name: with_tuples(part) for name, part in batch.items()}
    return tuple(map(with_tuples, batch)) if isinstance(batch, (list, tuple)) else batch


def as_pydataset(loader: Loader) -> LoaderPyDataset:
    """A Keras PyDataset that gives the batches of a Loader, for `fit`, `evaluate` and `predict`.

    ::

        model.fit(as_pydataset(fb.Loader((x, y), 32, shuffle=True)), epochs=3)

    Each pass is the next epoch, beginning with the Loader's, in the Loader's order, also where `fit` has
    ``shuffle=True``, as it has by itself. What `map` makes of a batch is what Keras gets.

    A pass over all batches moves the Loader on to its next epoch: at the end of each, its `state_dict` is the place to
    save, and `load_state_dict` or `set_epoch` say where the next call of `fit` goes on (`initial_epoch` does not). A
    pass that is broken off is begun again (unless TensorFlow, which asks ahead, had asked for all of it), and so is an
    epoch whose state was taken in the middle. With `steps_per_epoch`, a pass goes on through several epochs of Keras.

    Parameters
    ----------
    loader : Loader
        Of an array or dict ``x``, of ``(x, y)`` or of ``(x, y, sample_weight)``, with dicts or tuples for x and y where
        the model has several. NumPy arrays are right for every backend.

    Returns
    -------
    keras.utils.PyDataset
        Without workers. Its ``loader`` is the Loader.

    Raises
    ------
    TypeError
        It is no Loader, or its rows come from an iterable, or from a sampler that follows updates.
    ValueError
        The batches are others, or hold row numbers, which Keras would take for targets or weights; or the batch size is
        a schedule or that of a `TokenBudget`, by which epochs may differ in length.
    IndexError
        There is no batch.
    """
    if not isinstance(loader, Loader):
        raise TypeError(f"loader must be a fastbatch.Loader, got {type(loader).__name__}")
    if loader._batching.schedule is not None or isinstance(loader._sampler, Planned):
        raise ValueError("batch_size must be a number: Keras counts the batches of the first epoch for all")
    batch = batch_of(loader, loader.epoch, 0)  # what refuses, refuses here
    if isinstance(batch, tuple):
        if loader._arguments["rows"]:
            raise ValueError("rows=True needs a dict: Keras would take row numbers in a tuple for targets or weights")
        if not 1 <= len(batch) <= 3:
            raise ValueError(f"batches must be (x,), (x, y) or (x, y, sample_weight), got a tuple of {len(batch)}")
    return LoaderPyDataset(loader)
