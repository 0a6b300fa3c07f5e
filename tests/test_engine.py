"""The engine takes, fills and delivers tickets on any thread: in order, each once, none lost."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbatch._native.batches import Batches
from fastbatch._native.column import GatherColumn, RowNumberColumn
from fastbatch._native.engine import Engine
from fastbatch._native.sampler import Fed, Sequential, Shuffled
from fastbatch._native.structure import LEAF, Structure
from iterating import KEY, iterate, open_epoch
from threads import run_threads


def make_engine(source, n_ahead=1, n_threads=0):
    columns = [GatherColumn(source), RowNumberColumn()]
    return Engine(columns, Structure("tuple", (LEAF, LEAF)), [None, None], n_ahead=n_ahead, n_threads=n_threads)


def open_tickets(source, batch_size, *, sampler=Shuffled, number=0, n_tickets=1, **options):
    """An epoch of which `n_tickets` may be out."""
    return open_epoch(make_engine(source, n_tickets), sampler(len(source)), batch_size, number=number, **options)


def order_of(n, epoch=0):
    return Shuffled(n).order(KEY, epoch)


def make_source(n, row_width):
    return np.arange(n * row_width, dtype=np.float64).reshape(n, row_width)


def rows_of(delivered):
    return np.concatenate([rows for _, rows in delivered]) if delivered else np.empty(0, np.int64)


# ---------------------------------------------------------------------------------------------------------------------
# Two threads fill, one delivers
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "row_width", "batch_size", "n_tickets"),
    [(997, 1, 3, 8), (5000, 4, 64, 8), (2000, 300, 50, 8), (2000, 300, 50, 2), (50_000, 2, 5000, 3), (10, 1, 100, 8)],
)
@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_two_threads_take_and_fill_while_a_third_delivers_in_order(n, row_width, batch_size, n_tickets, epoch):
    source = make_source(n, row_width)
    batches = open_tickets(source, batch_size, number=epoch, n_tickets=n_tickets)
    order = order_of(n, epoch)
    n_batches = -(-n // batch_size)
    delivered = []
    over = threading.Event()
    n_filled = [0, 0]

    def fill(which):
        while not over.is_set():
            ticket = batches.take()
            if ticket is not None:
                batches.fill(ticket)
                n_filled[which] += 1

    def deliver():
        try:
            while len(delivered) < n_batches and sum(n_filled) <= n_batches:
                batch = batches.deliver()
                if batch is not None:
                    delivered.append(batch)
        finally:
            over.set()

    run_threads(lambda: fill(0), lambda: fill(1), deliver)
    assert batches.take() is None
    assert batches.deliver() is None
    assert sum(n_filled) == n_batches
    assert batches.position == n
    for i, (values, rows) in enumerate(delivered):
        assert np.array_equal(rows, order[i * batch_size : (i + 1) * batch_size])
        assert np.array_equal(values, source[rows])


def test_several_epochs_of_one_engine_may_be_alive_at_once():
    source = make_source(3000, 8)
    engine = make_engine(source, 3)
    got = {}

    def run(epoch):
        batches = open_epoch(engine, Shuffled(len(source)), 37, number=epoch)
        mine = []
        while (ticket := batches.take()) is not None:
            batches.fill(ticket)
            mine.append(batches.deliver())
        got[epoch] = mine

    run_threads(*(lambda epoch=epoch: run(epoch) for epoch in range(4)))
    for epoch, delivered in got.items():
        assert np.array_equal(rows_of(delivered), order_of(3000, epoch))
        assert all(np.array_equal(values, source[rows]) for values, rows in delivered)


# ---------------------------------------------------------------------------------------------------------------------
# Tickets
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_tickets", [1, 2, 8])
def test_as_many_tickets_are_out_as_were_allowed(n_tickets):
    batches = open_tickets(make_source(100, 1), 5, n_tickets=n_tickets)
    tickets = [batches.take() for _ in range(n_tickets)]
    assert None not in tickets
    assert len(set(tickets)) == n_tickets
    assert batches.take() is None
    batches.fill(tickets[0])
    assert batches.take() is None
    assert batches.deliver() is not None
    assert batches.take() is not None


def test_delivery_waits_for_the_first_ticket_however_many_later_ones_are_filled():
    batches = open_tickets(make_source(100, 1), 5, n_tickets=4)
    tickets = [batches.take() for _ in range(4)]
    for ticket in tickets[:0:-1]:
        batches.fill(ticket)
        assert batches.deliver() is None
    assert batches.position == 0
    batches.fill(tickets[0])
    delivered = [batches.deliver() for _ in range(4)]
    assert batches.deliver() is None
    assert np.array_equal(rows_of(delivered), order_of(100)[:20])
    assert batches.position == 20


def test_next_fills_the_tickets_that_are_out_before_it_takes_one():
    epoch = open_tickets(make_source(100, 1), 5, n_tickets=4)
    tickets = [epoch.take() for _ in range(3)]
    epoch.fill(tickets[1])
    assert np.array_equal(rows_of(list(iterate(epoch))), order_of(100))


@given(
    n=st.integers(0, 60),
    batch_size=st.integers(1, 9),
    n_tickets=st.integers(1, 8),
    actions=st.lists(
        st.one_of(
            st.sampled_from(["take", "take", "take", "fill", "fill", "deliver", "deliver", "put back"]),
            st.integers(1, 9),
        ),
        max_size=60,
    ),
)
def test_tickets_put_back_lose_no_row_and_keep_the_order(n, batch_size, n_tickets, actions):
    source = make_source(n, 2)
    batches = open_tickets(source, batch_size, n_tickets=n_tickets)
    out, delivered = [], []
    for action in actions:
        if action == "take":
            ticket = batches.take()
            if ticket is not None:
                out.append([ticket, False])
        elif action == "fill":
            waiting = [entry for entry in out if not entry[1]]
            if waiting:
                batches.fill(waiting[-1][0])
                waiting[-1][1] = True
        elif action == "deliver":
            batch = batches.deliver()
            assert (batch is not None) == (bool(out) and out[0][1])
            if batch is not None:
                delivered.append(batch)
                out.pop(0)
        elif action != batch_size:  # the size it has already changes nothing
            if action == "put back":
                batches.put_back()
            else:
                batches.set_batch_size(action)
                batch_size = action
            out.clear()
            assert batches.deliver() is None
        assert batches.position == sum(len(rows) for _, rows in delivered)
    batches.put_back()
    delivered += list(iterate(batches))
    assert np.array_equal(rows_of(delivered), order_of(n))
    assert all(np.array_equal(values, source[rows]) for values, rows in delivered)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=30))
def test_the_size_of_batches_may_change_at_any_time(sizes):
    epoch = open_tickets(make_source(300, 1), 5, sampler=Sequential)
    batches = iterate(epoch)
    position = 0
    for size in sizes:
        epoch.set_batch_size(size)
        expected = np.arange(position, min(300, position + size))
        batch = next(batches, None)
        if not len(expected):
            assert batch is None
            break
        assert np.array_equal(batch[1], expected)
        position += len(expected)


@pytest.mark.parametrize("n_threads", [0, 2])
def test_fed_rows_are_delivered_in_the_order_they_were_fed(n_threads):
    pieces = iter([[3, 3, 49], [0], [], [7, 8, 9, 10, 11]])

    def feed(epoch):
        piece = next(pieces, None)
        return piece is not None and epoch.feed(np.array(piece, np.uint32)) >= 0

    epoch = open_epoch(make_engine(make_source(50, 1), 3, n_threads), Fed(50), 2, fed=True)
    delivered = [rows.tolist() for _, rows in iterate(epoch, feed)]
    assert delivered == [[3, 3], [49, 0], [7, 8], [9, 10], [11]]


@pytest.mark.parametrize("n_threads", [0, 2])
def test_rows_fed_as_batches_are_delivered_as_batches(n_threads):
    pieces = [[3, 3, 49], [0], [7, 8, 9, 10, 11]]
    waiting = iter(pieces)

    def feed(epoch):
        piece = next(waiting, None)
        return piece is not None and epoch.feed(np.array(piece, np.uint32)) > 0

    epoch = open_epoch(make_engine(make_source(50, 1), 3, n_threads), Fed(50), 0, fed=True)
    assert [rows.tolist() for _, rows in iterate(epoch, feed)] == pieces


# ---------------------------------------------------------------------------------------------------------------------
# An iterator that has not begun
# ---------------------------------------------------------------------------------------------------------------------


def test_an_epoch_begins_at_the_first_next_and_once():
    begun = []

    def begin(batches):
        begun.append(batches)
        batches.start(open_tickets(make_source(4, 1), 2))
        batches.start(open_tickets(make_source(4, 1), 1, number=5))

    batches = Batches(begin)
    assert (batches.started, batches.epoch, begun) == (False, None, [])
    assert len(next(batches)[1]) == 2
    assert (batches.started, batches.epoch.number, batches.epoch.position) == (True, 0, 2)
    assert np.array_equal(rows_of(list(batches)), order_of(4)[2:])
    assert len(begun) == 1


# ---------------------------------------------------------------------------------------------------------------------
# The engine's lock and the GIL
# ---------------------------------------------------------------------------------------------------------------------

BOTH_LOCKS = """
import sys
sys.path[:0] = sys.argv[2:]
from fastbatch._native.column import RowNumberColumn
from fastbatch._native.engine import Engine
from fastbatch._native.sampler import Sequential
from fastbatch._native.structure import LEAF
from iterating import iterate, open_epoch
from threads import run_threads

engine = Engine([RowNumberColumn()], LEAF, [None], n_ahead=4, n_threads=int(sys.argv[1]))

def open_one():
    return open_epoch(engine, Sequential(2000), 4)

def run():
    for _ in range(60):
        assert sum(map(len, iterate(open_one()))) == 2000

def take():
    for _ in range(60):
        epoch = open_one()
        while (ticket := epoch.take()) is not None:
            try:
                epoch.fill(ticket)
            except ValueError:
                assert engine.n_threads  # one of them was quicker
            epoch.deliver()

def resize():
    epoch = open_one()
    for size in range(60_000):
        epoch.set_batch_size(1 + size % 3)

run_threads(run, take, resize)
"""


@pytest.mark.parametrize("n_threads", [0, 2])
def test_nobody_waits_for_the_engines_lock_with_the_gil_or_for_the_gil_with_that_lock(n_threads):
    # Where both are waited for in turn, this hangs: hence a process of its own.
    tests = str(Path(__file__).parent)
    command = [sys.executable, "-c", BOTH_LOCKS, str(n_threads), *filter(None, sys.path), tests]
    subprocess.run(command, check=True, timeout=120)
