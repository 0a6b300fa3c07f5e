"""An epoch's tickets, and the iterator over its batches. See csrc/fb_cursor.hpp for what does the work."""

import threading

import numpy as np

from fastbatch._native.take import check_rows

cimport cython
cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint64_t

from fastbatch._native.c cimport fb_context, fb_key
from fastbatch._native.cpp cimport Batch, Buffer, Cursor, Refusal, Share, Status, now
from fastbatch._native.engine cimport MAX_COLUMNS, Engine, generation
from fastbatch._native.random cimport key_from_words
from fastbatch._native.sampler cimport Sampler, check_row_numbers

cnp.import_array()


# Bytes of a batch for which giving up the GIL (some 40 ns, more when others want it) costs less than it helps others.
cdef size_t RELEASE_NBYTES = 1 << 16

# Orders of fewer rows are given back within microseconds.
cdef uint64_t QUICK_ROWS = 1 << 16


@cython.final
@cython.no_gc_clear  # the cursor refers to the engine and the sampler until it is gone; so are they, and the columns
cdef class Epoch:
    """One pass over one epoch: where its batches come from, and how far it has got.

    Parameters
    ----------
    engine : Engine
    sampler : Sampler
        Of rows that every column has.
    key : tuple of 2 int
        The Loader's root key.
    number, position : int
        Which epoch, and how many of its rows are skipped.
    batch_size : int
        With `fed`, 0 stands for batches as they are fed.
    drop_last : bool
        Whether a shorter last batch is left out.
    rank, n_ranks : int
        Of each batch of all ranks this epoch has the slice of one.
    unit : int
        Rows that stay together: of the epoch, of `position` and of a batch some whole number of them.
    exact : bool
        Whether the last slices are uneven where the rows are; else the first rows of the order fill them up.
    fed : bool
        Whether the rows come from `feed`, and not from the sampler.
    helped : bool
        Whether the engine's threads work for it: not where batches are asked for at random.
    after : Epoch, optional
        The one before. What threads have prepared for this one is taken over, and the memory of its order if it is
        over.

    Attributes
    ----------
    number, position : int
        The rows of epoch `number` before `position` were delivered, on all ranks.
    exhausted : bool
        Whether all were, and whoever asked has been told so.
    """

    cdef Cursor *cursor
    cdef Engine engine
    cdef Sampler sampler
    cdef object key
    cdef readonly uint64_t number
    cdef bint drop_last
    cdef uint64_t rank
    cdef uint64_t n_ranks
    cdef uint64_t unit
    cdef bint is_exact
    cdef bint is_fed
    cdef size_t n_quick      # rows that are filled with the GIL held
    cdef int process         # the generation of processes it was made in
    cdef bint has_ended      # there is no further batch
    cdef bint is_cancelled   # nobody will ask for one
    cdef bint is_broken      # no batch comes any more: closed, interrupted, an error in a user's code
    cdef bint is_relayed     # batches go through other hands before the user has them
    cdef uint64_t relayed    # position after the last one that did
    cdef bint has_relayed_all
    cdef Batch last          # delivered
    cdef object __weakref__

    def __cinit__(self, Engine engine not None, Sampler sampler not None, key, uint64_t number, uint64_t position,
                  size_t batch_size, *, bint drop_last=False, uint64_t rank=0, uint64_t n_ranks=1, uint64_t unit=1,
                  bint exact=False, bint fed=False, bint helped=True, Epoch after=None):
        self.process = generation()
        if engine.process != self.process:
            raise RuntimeError("the engine is that of the process that was forked")
        if sampler.sampler.n_rows > engine.n_rows:
            raise ValueError(f"the sampler draws from {sampler.n} rows, the columns have {engine.n_rows}")
        if engine.wants_weights and (fed or sampler.sampler.weigh == NULL):
            raise ValueError("a column wants weights, which the sampler does not have")
        if batch_size < 1 and not fed:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if unit < 1 or batch_size % unit != 0 or sampler.sampler.length % unit != 0 or position % unit != 0:
            raise ValueError(f"batches of {batch_size} rows from {position} on, of {len(sampler)} rows, must be of "
                             f"whole units of {unit}")
        if rank >= n_ranks or (fed and n_ranks > 1):
            raise ValueError(f"rank must be below {n_ranks}, and rows that are fed those of one rank, got {rank}")
        self.engine = engine
        self.sampler = sampler
        self.key = key
        self.number = number
        self.drop_last = drop_last
        self.rank, self.n_ranks, self.unit, self.is_exact = rank, n_ranks, unit, exact
        self.is_fed = fed
        self.n_quick = 0 if engine.is_blocking else RELEASE_NBYTES // (engine.row_nbytes + 1)
        self.begin(position, batch_size, helped, after)

    cdef int begin(self, uint64_t position, size_t batch_size, bint helped, Epoch after) except -1:
        cdef int64_t began = now()
        cdef fb_context context
        cdef fb_key root = key_from_words(self.key)
        cdef Cursor *cursor = NULL
        cdef void *order = NULL
        if after is not None and not self.is_fed and not after.is_fed and after.sampler is self.sampler:
            if after.has_ended or after.is_cancelled:
                after.hand_on(&cursor, &order)
        if cursor != NULL and not self.fits(cursor, position, after):
            with nogil:
                del cursor
            cursor = NULL
        if cursor != NULL:
            self.cursor = cursor
            with nogil:
                cursor.take_over(order, began)
                if cursor.batch_size() != batch_size:
                    cursor.set_batch_size(batch_size)
            return 0
        context.key[0], context.key[1] = root.word[0], root.word[1]
        context.epoch = self.number
        context.position = position
        if not self.is_fed:
            order = self.sampler.begin(root, self.number, order)
        try:
            self.cursor = new Cursor(self.engine.engine[0], self.sampler.sampler[0], order, context, batch_size,
                                     Share(self.rank, self.n_ranks, self.unit, self.is_exact), self.drop_last,
                                     helped, began)
        except BaseException:
            if order != NULL:
                self.sampler.sampler.end(order)
            raise
        return 0

    cdef int hand_on(self, Cursor **successor, void **order) except -1:
        """What threads have begun of the next epoch, if they have, and memory for its order."""
        cdef Status status = self.cursor.hand_on(successor, order, False)
        while status != Status.kOk:
            with nogil:
                status = self.cursor.hand_on(successor, order, True)
            if status == Status.kPatience:  # nothing is handed on yet
                PyErr_CheckSignals()
        return 0

    cdef bint fits(self, Cursor *successor, uint64_t position, Epoch after):
        return (position == 0 and successor.epoch() == self.number and self.drop_last == after.drop_last
                and self.rank == after.rank and self.n_ranks == after.n_ranks and self.is_exact == after.is_exact
                and self.key == after.key)

    def __dealloc__(self):
        cdef Cursor *cursor = self.cursor
        if cursor == NULL or self.process != generation():
            return
        if self.sampler.sampler.length < QUICK_ROWS and cursor.try_cancel():
            del cursor
        else:
            with nogil:  # threads that fill a ticket of it are waited for; giving back a large order takes a while
                del cursor

    cdef void cancel(self) noexcept:
        cdef Cursor *cursor = self.cursor
        if self.has_ended or self.is_cancelled or self.process != generation():
            return
        self.is_cancelled = True
        if not cursor.try_cancel():
            with nogil:
                cursor.cancel()

    @property
    def position(self):
        return self.relayed if self.is_relayed else self.cursor.delivered()

    @property
    def exhausted(self):
        return self.has_relayed_all if self.is_relayed else self.has_ended

    def relay(self, position, *, bint ended=False):
        """From now on batches go through other hands: the user has those before `position`, or all if `ended`."""
        self.relayed = position
        self.has_relayed_all = ended
        self.is_relayed = True

    cdef object step(self):
        """The next batch; None at the end, NotImplemented when rows have to be fed first."""
        cdef Buffer *buffers[MAX_COLUMNS]
        cdef Batch batch
        cdef Cursor *cursor = self.cursor
        cdef Status status
        cdef object provided = None, before
        batch.buffers = buffers
        status = cursor.try_next(batch, self.n_quick)
        while status == Status.kBusy or status == Status.kPatience or status == Status.kNoMemory:
            if status == Status.kNoMemory:
                before, provided = provided, self.engine.restock() if self.engine.restock is not None else None
                if before == provided:
                    break
            self.engine.look_for_refusal()  # before anything is delivered, because warnings may be errors
            with nogil:
                status = cursor.next(batch)
            if status == Status.kPatience:
                self.look_for_signals()
        if status == Status.kOk:
            self.last = batch
            return self.engine.hand_over(cursor, &batch)
        if status == Status.kHungry:
            return NotImplemented
        if status == Status.kEnd:
            self.has_ended = True
            return None
        self.fail(status)

    cdef int look_for_signals(self) except -1:
        try:
            PyErr_CheckSignals()
        except BaseException:
            self.is_broken = True
            raise
        return 0

    cdef object take_back(self, Batch batch):
        cdef Cursor *cursor = self.cursor
        self.has_ended = False  # another thread may have been told so
        with nogil:
            cursor.take_back(batch)

    cdef int fail(self, Status status) except -1:
        """Raises what a status stands for. Rows are lost in none of these cases."""
        cdef Cursor *cursor = self.cursor
        cdef Refusal refusal
        if status == Status.kNoMemory:
            raise MemoryError(f"no memory for a batch of {self.cursor.batch_size()} rows "
                              f"({self.cursor.batch_size() * self.engine.row_nbytes} bytes)")
        if status == Status.kClosed:
            self.is_broken = True
            raise RuntimeError("the Loader is closed")
        if status == Status.kBadRow:
            self.is_broken = True
            with nogil:
                refusal = cursor.refusal()
            raise IndexError(f"row {refusal.row} cannot be read: {self.engine.names[refusal.column]}, "
                             f"{self.engine.columns[refusal.column].kernel}, refused it")
        if status == Status.kAllZero:
            raise ValueError("weights must not all be 0 when rows are drawn: no row can be")
        if status == Status.kSuperseded:
            self.is_broken = True
            raise RuntimeError("a later epoch draws from this sampler, whose weights follow one epoch at a time")
        raise ValueError("no such ticket is out, or it is being filled, or filled")

    @property
    def batch_size(self):
        """Rows of the next batch."""
        return self.cursor.batch_size()

    @property
    def delivered(self):
        """Rows before the first that was not delivered, whether or not the user has them."""
        return self.cursor.delivered()

    @property
    def n_delivered(self):
        """Batches that were delivered."""
        cdef Cursor *cursor = self.cursor
        cdef uint64_t n
        with nogil:
            n = cursor.n_delivered()
        return n

    @property
    def last_batch(self):
        """The batch delivered last, in words."""
        return self.name_of(self.last)

    cdef str name_of(self, Batch batch):
        cdef size_t batch_size = self.cursor.batch_size()
        number = batch.position // (batch_size * self.n_ranks) if batch_size > 0 else batch.number
        return f"batch {number} of epoch {self.number} (its rows {batch.position} to {batch.end})"

    def at(self, uint64_t position):
        """The batch that begins at `position`, whatever was delivered before; None where no rows are left."""
        cdef Cursor *cursor = self.cursor
        if self.is_fed:
            raise RuntimeError("rows that are fed come in one order only")
        with nogil:
            cursor.seek(position)
        return self.step()

    def feed(self, rows, position=None):
        """Hand in rows for the batches to come; in an epoch without a batch size, a batch.

        Parameters
        ----------
        rows : array_like of int
            Checked as `check_rows` does.
        position : int, optional
            Of a batch: that of its first row in the epoch of all ranks. None: there is one rank, which has the rows
            that were fed before.

        Returns
        -------
        int
            How many they are.
        """
        if not self.is_fed:
            raise RuntimeError("the rows of this epoch come from a sampler")
        cdef Cursor *cursor = self.cursor
        cdef cnp.ndarray checked = check_rows(rows, self.sampler.sampler.n_rows)
        cdef const void *data = cnp.PyArray_DATA(checked)
        cdef size_t n = cnp.PyArray_SIZE(checked)
        cdef uint64_t first = 0 if position is None else position
        cdef bint is_placed = position is not None
        if cursor.batch_size() > 0:
            if is_placed:
                raise ValueError(
                    f"rows for batches of {cursor.batch_size()} follow each other, got position {position}"
                )
            with nogil:
                cursor.feed(data, n)
            return n
        with nogil:
            if is_placed:
                cursor.feed_batch(data, n, first)
            else:
                cursor.feed_batch(data, n)
        return n

    def end_feed(self):
        """Say that there will be no more rows."""
        cdef Cursor *cursor = self.cursor
        with nogil:
            cursor.end_feed()

    def forget_fed(self):
        """Drop what was fed and not delivered: it will be fed once more. Returns whether `end_feed` was called."""
        cdef Cursor *cursor = self.cursor
        cdef bint was_over
        with nogil:
            was_over = cursor.forget_fed()
        return was_over

    @property
    def hungry(self):
        """Whether more rows have to be fed for all that can be at work."""
        cdef Cursor *cursor = self.cursor
        cdef bint hungry
        with nogil:
            hungry = cursor.is_hungry()
        return hungry

    @property
    def n_rows(self):
        """Rows of the data."""
        return self.sampler.sampler.n_rows

    @property
    def n_waiting(self):
        """Rows fed or drawn, and in no ticket yet."""
        cdef Cursor *cursor = self.cursor
        cdef size_t n
        with nogil:
            n = cursor.n_waiting()
        return n

    def set_batch_size(self, size_t batch_size):
        """Change the size of the batches to come; tickets that are out are put back."""
        cdef Cursor *cursor = self.cursor
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if cursor.batch_size() == 0:
            raise ValueError(f"batches that are fed have sizes of their own, got batch_size {batch_size}")
        if batch_size % self.unit != 0:
            raise ValueError(f"batch_size must be a multiple of {self.unit}, got {batch_size}")
        with nogil:
            cursor.set_batch_size(batch_size)

    def take(self):
        """Draw the rows of the next ticket.

        Returns
        -------
        int or None
            The ticket's number, for `fill`; None when no rows are left, or as many tickets as there may be are out.
        """
        cdef Cursor *cursor = self.cursor
        cdef uint64_t number = 0
        cdef Status status
        with nogil:
            status = cursor.take(&number)
        if status == Status.kOk:
            return number
        if status in (Status.kNoMemory, Status.kClosed, Status.kAllZero, Status.kSuperseded):
            self.fail(status)
        return None

    def fill(self, uint64_t number):
        """Fill a ticket that `take` gave, on any thread, without the GIL."""
        cdef Cursor *cursor = self.cursor
        cdef Status status
        with nogil:
            status = cursor.fill(number)
        if status != Status.kOk:
            self.fail(status)

    def deliver(self):
        """The next batch in order, or None while it is not filled."""
        cdef Buffer *buffers[MAX_COLUMNS]
        cdef Batch batch
        cdef Cursor *cursor = self.cursor
        cdef Status status
        batch.buffers = buffers
        with nogil:
            status = cursor.deliver(batch)
        return self.engine.hand_over(cursor, &batch) if status == Status.kOk else None

    def put_back(self):
        """Return the rows of tickets that are out, in order, once nobody is filling one."""
        cdef Cursor *cursor = self.cursor
        with nogil:
            cursor.put_back()


# Batches, and rows, that are handed in at once: more than threads may fill ahead, and few enough to be copied in
# microseconds.
cdef enum:
    FEED_BATCHES = 64
    FEED_ROWS = 1 << 14


@cython.final
cdef class BatchFeed:
    """Batches of rows that are known beforehand: a feeder that hands in some of them at a time.

    Parameters
    ----------
    n : int
        Rows of the data.
    rows : uint32 of shape (n_rows,), or uint64 from 2**32 rows on
        Below `n`; nobody may write them any more.
    begins, ends : uint64 of shape (n_batches,)
        Where each batch lies in them, and in the epoch.
    """

    cdef uint64_t n_rows
    cdef cnp.ndarray rows
    cdef cnp.ndarray begins
    cdef cnp.ndarray ends
    cdef size_t n_fed

    def __cinit__(self, uint64_t n, cnp.ndarray rows not None, cnp.ndarray begins not None, cnp.ndarray ends not None):
        cdef cnp.ndarray array
        check_row_numbers(n, rows, "rows")
        for array in (begins, ends):
            if array.dtype != np.uint64 or not cnp.PyArray_ISCARRAY_RO(array) or array.ndim != 1:
                raise ValueError(f"begins and ends must be contiguous arrays of uint64, got {array.dtype}")
        if len(begins) != len(ends) or np.any(begins > ends) or np.any(ends > len(rows)):
            raise ValueError(f"batches must lie within the {len(rows)} rows, each with a begin and an end")
        self.n_rows, self.rows, self.begins, self.ends = n, rows, begins, ends

    def __call__(self, Epoch epoch not None):
        """Hand in the next batches; False when there are none."""
        if not epoch.is_fed or epoch.cursor.batch_size() > 0 or epoch.sampler.sampler.n_rows != self.n_rows:
            raise ValueError(f"the epoch must be fed batches, of {self.n_rows} rows")
        cdef const char *rows = <const char *>cnp.PyArray_DATA(self.rows)
        cdef const uint64_t *begins = <const uint64_t *>cnp.PyArray_DATA(self.begins)
        cdef const uint64_t *ends = <const uint64_t *>cnp.PyArray_DATA(self.ends)
        cdef size_t width = cnp.PyArray_ITEMSIZE(self.rows), n_batches = cnp.PyArray_SIZE(self.begins)
        cdef size_t first = self.n_fed, n_handed = 0
        cdef Cursor *cursor = epoch.cursor
        # The GIL may be given up here: the threads of one iterator take turns to feed it.
        with nogil:
            while self.n_fed < n_batches and self.n_fed - first < FEED_BATCHES and n_handed < FEED_ROWS:
                cursor.feed_batch(rows + begins[self.n_fed] * width, ends[self.n_fed] - begins[self.n_fed],
                                  begins[self.n_fed])
                n_handed += ends[self.n_fed] - begins[self.n_fed]
                self.n_fed += 1
        return self.n_fed > first


@cython.final
@cython.no_gc_clear  # its end is that of the epoch's tickets
cdef class Batches:
    """The batches of one epoch: an iterator.

    An epoch begins at the first `next`, which calls ``begin(self)``; that calls `start`. Threads may share an iterator:
    each batch goes to one of them. When the last reference is gone, nothing more is filled.

    Parameters
    ----------
    begin : callable
    function : callable, optional
        What each batch goes through before it is handed out.

    Attributes
    ----------
    epoch : Epoch or None
    """

    cdef readonly Epoch epoch
    cdef object begin
    cdef object function
    cdef object feeder
    cdef object feeding    # the lock of whoever feeds
    cdef object before
    cdef object turn       # the lock of whoever calls `before`, until its batch is there
    cdef object error      # of the feeder: raised when what was fed before is delivered
    cdef int process       # the generation of processes it was made in
    cdef bint is_over
    cdef object __weakref__

    def __cinit__(self, begin, function=None):
        self.begin = begin
        self.function = function
        self.process = generation()

    def __dealloc__(self):
        if self.epoch is not None:
            self.epoch.cancel()

    def start(self, Epoch epoch not None, feeder=None, before=None):
        """Say where the batches come from.

        Parameters
        ----------
        epoch : Epoch
        feeder : callable, optional
            For an epoch that is fed: called with it when it needs rows; False says that there are no more.
        before : callable, optional
            Called before each batch is asked for.

        Returns
        -------
        bool
            False if they come from somewhere already: a signal handler was quicker.
        """
        feeding = threading.RLock() if feeder is not None else None
        turn = threading.RLock() if before is not None else None
        if self.epoch is not None:
            return False
        self.feeder, self.feeding, self.before, self.turn = feeder, feeding, before, turn
        self.epoch = epoch  # the last: other threads go on when they see it
        self.begin = None  # no way back to whoever holds this iterator
        return True

    @property
    def started(self):
        """Whether the epoch has begun."""
        return self.epoch is not None

    def __iter__(self):
        return self

    def __next__(self):
        cdef object batch
        if self.process != generation():  # before it begins, too: its engine is the parent's
            raise RuntimeError("this iterator was made in the process that was forked; iterate the Loader anew")
        if self.is_over or (self.epoch is not None and self.epoch.is_broken):
            raise StopIteration
        if self.epoch is None:
            try:
                self.begin(self)
            except (MemoryError, OSError):  # it can be asked again
                raise
            except BaseException:
                self.is_over = True
                raise
        if self.before is not None:
            batch = self.step_in_turn()
        else:
            batch = self.epoch.step() if self.feeder is None else self.fed_step()
        if batch is None:
            self.is_over = True
            raise StopIteration
        return batch if self.function is None else self.through_function(batch, self.epoch.last)

    cdef object step_in_turn(self):
        with self.turn:
            try:
                self.before()
            except BaseException:
                self.epoch.is_broken = True
                raise
            return self.epoch.step() if self.feeder is None else self.fed_step()

    cdef object fed_step(self):
        cdef object batch = NotImplemented
        while batch is NotImplemented:
            with self.feeding:
                while self.error is None and self.epoch.hungry:
                    try:
                        if not self.feeder(self.epoch):
                            self.epoch.end_feed()
                    except Exception as error:
                        self.error = error  # for the batch that it belongs to
                        self.epoch.end_feed()
                    except BaseException:
                        self.epoch.is_broken = True
                        raise
            batch = self.epoch.step()
        if batch is None and self.error is not None:
            self.epoch.has_ended = False
            self.epoch.is_broken = True
            raise self.error
        return batch

    cdef object through_function(self, batch, Batch delivered):
        try:
            return self.function(batch)
        except BaseException as error:
            error.add_note(f"raised by map at {self.epoch.name_of(delivered)}")
            self.epoch.take_back(delivered)
            self.epoch.is_broken = True
            if isinstance(error, StopIteration):  # which would end the user's loop without a word
                raise RuntimeError("map raised StopIteration") from error
            raise
