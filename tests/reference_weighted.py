"""Slow, obvious twins of the weighted samplers."""

import math
from itertools import accumulate, islice

from reference import WORD, philox4x64, sfc64

FULL = 2**32  # what a cell holds

# Streams, and positions that share one: see fb_random.h and fb_words.h.
WEIGHTED, RACE, CURRICULUM, PRIORITIZED = 5, 6, 10, 11
STREAM_ROWS = 4096


def quantised(weights):
    """Integers in the proportions of `weights`, with a sum of n * 2**32; none is 0 where the weight is not."""
    n, scale = len(weights), 2.0 ** -math.frexp(max(weights))[1]
    weights = [weight * scale for weight in weights]
    factor = float(n * FULL) / math.fsum(weights)
    integers = [max(min(int(weight * factor + 0.5), n * FULL), 1 if weight else 0) for weight in weights]
    missing = n * FULL - sum(integers)
    step, least = (1, 1) if missing > 0 else (-1, 2)
    while missing:
        for row, integer in enumerate(integers):
            if missing and integer >= least:
                integers[row] += step
                missing -= step
    return integers


def alias_cells(integers):
    """(its row's own part of each cell, the row that has the rest): the smalls in order, filled up by the larges."""
    left = list(integers)
    cells = [(0, row) for row in range(len(left))]
    smalls = [row for row, integer in enumerate(left) if integer <= FULL]
    larges = [row for row, integer in enumerate(left) if integer > FULL]
    while larges:
        large = larges[0]
        if left[large] > FULL:
            small = smalls.pop(0)
        else:
            small = larges.pop(0)
            if not larges:
                break
            large = larges[0]
        if left[small] < FULL:
            cells[small] = (left[small], large)
        left[large] -= FULL - left[small]
    return cells


def weighted(weights, key, epoch, length):
    """With replacement: one word for each row, which says the cell and the place in it."""
    cells = alias_cells(quantised(weights))
    rows = []
    for first in range(0, length, STREAM_ROWS):
        words = sfc64(philox4x64(key, (epoch, WEIGHTED, first // STREAM_ROWS, 0)))
        for word in islice(words, min(STREAM_ROWS, length - first)):
            cell, rest = divmod(word * len(cells), WORD)
            own, other = cells[cell]
            rows.append(cell if rest // FULL < own else other)
    return rows


def race(weights, key, epoch):
    """Without replacement: rows as they arrive, after exponentially distributed times at the speed of their weights."""
    words = sfc64(philox4x64(key, (epoch, RACE, 0, 0)))
    runners = [row for row, weight in enumerate(weights) if weight]
    times = {}
    for row in runners:
        uniform = (next(words) // 2**12 + 0.5) / 2**52
        times[row] = math.log(-math.log(uniform)) - math.log(weights[row])
    return sorted(runners, key=times.get)


def words_at(key, epoch, stream, first, n):
    """One random word for each position of an epoch."""
    words = []
    for position in range(first, first + n):
        if not words or position % STREAM_ROWS == 0:
            stream_of_block = sfc64(philox4x64(key, (epoch, stream, position // STREAM_ROWS, 0)))
            skipped = position % STREAM_ROWS
        words.append(next(islice(stream_of_block, skipped, None)))
        skipped = 0
    return words


def curriculum(difficulty, share_at, weights, key, epoch, length):
    """(row, how many are eligible) at each position: by the running sums of the weights of those that are eligible."""
    n = len(difficulty)
    ladder = sorted(range(n), key=lambda row: (difficulty[row], row))
    integers = [1] * n if weights is None else quantised([weights[row] for row in ladder])
    n_steps = max(1, min(1024, length))
    drawn = []
    for position, word in enumerate(words_at(key, epoch, CURRICULUM, 0, length)):
        share = min(1.0, max(0.0, share_at(epoch, position * n_steps // length / n_steps)))
        n_eligible = max(1, math.ceil(share * n))
        while not any(integers[:n_eligible]) or (
            n_eligible < n and difficulty[ladder[n_eligible]] == difficulty[ladder[n_eligible - 1]]
        ):
            n_eligible += 1
        target = word * sum(integers[:n_eligible]) // WORD
        sums = accumulate(integers)
        drawn.append((ladder[next(i for i, total in enumerate(sums) if total > target)], n_eligible))
    return drawn


class SumTree:
    """Rows by float64 weights: sixteen children to a node, added four by four."""

    def __init__(self, weights):
        self.weights = list(weights)
        levels = [self.weights]
        while len(levels[-1]) > 16:
            level = levels[-1]
            levels.append([sum_of(level[i : i + 16]) for i in range(0, len(level), 16)])
        self.levels = levels
        self.total = sum_of(levels[-1])

    def draw(self, word):
        rest, node = (word >> 11) * 2.0**-53 * self.total, 0
        for level in reversed(self.levels):
            children = level[16 * node : 16 * node + 16]
            children = children + [0.0] * (16 - len(children))
            fours = [quad(children[i : i + 4]) for i in (0, 4, 8, 12)]
            four, rest = first_above(fours, rest)
            child, rest = first_above(children[4 * four : 4 * four + 4], rest)
            child += 4 * four
            while child > 0 and children[child] == 0:
                child, rest = child - 1, 0.0
            node = 16 * node + child
        return node


def quad(children):
    return (children[0] + children[1]) + (children[2] + children[3])


def sum_of(children):
    children = children + [0.0] * (16 - len(children))
    return ((quad(children[:4]) + quad(children[4:8])) + quad(children[8:12])) + quad(children[12:])


def first_above(parts, rest):
    """The first of four parts behind whose end `rest` does not lie, and what is left of it there."""
    sums = [0.0, parts[0], parts[0] + parts[1], parts[0] + parts[1] + parts[2]]
    which = sum(rest >= end for end in sums[1:])
    return which, rest - sums[which]


class Live:
    """A live sampler: every update with the number of the first batch that it is for, and nothing ahead of need."""

    def __init__(self, weights, key, *, lag=0, exponent=1.0):
        self.weights, self.exponent, self.lag, self.key = list(map(float, weights)), exponent, lag, key
        self.updates, self.n_batches = [], 0

    def update(self, rows, values):
        self.updates += [
            (self.n_batches + self.lag, row, float(value)) for row, value in zip(rows, values, strict=True)
        ]

    def batch(self, epoch, first, n):
        """(rows, their weights) of the next batch, from a position on."""
        for update in [update for update in self.updates if update[0] <= self.n_batches]:
            self.updates.remove(update)
            if update[1] is None:
                self.exponent = update[2]
            else:
                self.weights[update[1]] = update[2]
        self.n_batches += 1
        tree = SumTree(self.weights)
        rows = [tree.draw(word) for word in words_at(self.key, epoch, PRIORITIZED, first, n)]
        mean = tree.total / sum(weight > 0 for weight in self.weights)
        return rows, [(mean / self.weights[row]) ** self.exponent for row in rows]
