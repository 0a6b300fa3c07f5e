"""Slow, obvious twins of the weighted samplers."""

import math
from itertools import islice

from reference import WORD, philox4x64, sfc64

FULL = 2**32  # what a cell holds

# Streams, and positions that share one: see fb_random.h and fb_weighted.c.
WEIGHTED, RACE = 5, 6
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
