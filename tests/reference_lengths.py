"""Slow, obvious twins of what orders rows by their lengths, and packs them. Nothing here imports fastbatch."""

import numpy as np

from reference import descending, fisher_yates, permutation, philox4x64, streamed

LENGTHS, BATCHES = 20, 21  # what a derived stream is for

#: From so many rows on an order is a bijection's.
STREAMED_ROWS = 2**16


def bucketed(lengths, window, block, key, epoch):
    """The order of fb.Bucketed."""
    n = len(lengths)
    rows = permutation(n, key, epoch) if n < STREAMED_ROWS else [streamed(place, n, key, epoch) for place in range(n)]
    order = []
    for unit, first in enumerate(range(0, n, window)):
        own = sorted(rows[first : first + window], key=lambda row: lengths[row])
        n_blocks, n_short = divmod(len(own), block)
        short = []
        if n_short:
            (rank,) = descending(philox4x64(key, (epoch, LENGTHS, unit, 1)), n_blocks + 1, 1)
            short = own[rank * block :][:n_short]
            own = own[: rank * block] + own[rank * block + n_short :]
        blocks = [own[i : i + block] for i in range(0, len(own), block)]
        for rows_of_block in fisher_yates(blocks, philox4x64(key, (epoch, LENGTHS, unit, 0))):
            order += rows_of_block
        order += short
    return order


def padded(length, multiple):
    return -(-length // multiple) * multiple


def token_budget(lengths, tokens, max_rows, multiple, window, key, epoch):
    """The batches of fb.TokenBudget."""
    n = len(lengths)
    shuffled, rows, batches = permutation(n, key, epoch), [], []
    for i, first in enumerate(range(0, n, window)):
        rows += sorted(shuffled[first : first + window], key=lambda row, sign=(-1) ** i: sign * lengths[row])
    for row in rows:
        longest = max(padded(lengths[other], multiple) for other in [*(batches[-1] if batches else []), row])
        if not batches or len(batches[-1]) == max_rows or (len(batches[-1]) + 1) * longest > tokens:
            batches.append([])
        batches[-1].append(row)
    return fisher_yates(batches, philox4x64(key, (epoch, BATCHES, 0, 0)))


def steps(batches, position, world_size, uneven):
    """What each rank has in each step, from a position on: [[rows of rank 0, of rank 1, ...], ...]."""
    left, at = [], 0
    for batch in batches:
        rest = batch[max(0, position - at) :]
        at += len(batch)
        if rest:
            left.append(rest)
    whole = len(left) // world_size * world_size
    of_ranks = [left[i : i + world_size] for i in range(0, whole, world_size)]
    if last := left[whole:]:
        n_parts = [1] * len(last)
        while sum(n_parts) < min(world_size, sum(map(len, last))):
            largest = [-(-len(batch) // n) for batch, n in zip(last, n_parts, strict=True)]
            n_parts[largest.index(max(largest))] += 1
        parts = [
            part.tolist()
            for batch, n in zip(last, n_parts, strict=True)
            for part in np.array_split(np.array(batch, np.int64), n)
        ]
        n_missing = world_size - len(parts)
        parts += [[]] * n_missing if uneven == "exact" else [parts[i % len(parts)] for i in range(n_missing)]
        of_ranks.append(parts)
    return of_ranks


def padding(lengths, batches, multiple=1):
    """The share of padding."""
    if not batches:
        return 0.0
    size = sum(len(batch) * padded(max(lengths[row] for row in batch), multiple) for batch in batches)
    return 1 - sum(lengths[row] for batch in batches for row in batch) / size


def first_fit(lengths, context):
    """The rows of fb.FirstFit, each a list of sequences."""
    rows, room = [], []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        row = next((row for row in range(len(rows)) if room[row] >= lengths[i]), len(rows))
        if row == len(rows):
            rows.append([])
            room.append(context)
        rows[row].append(i)
        room[row] -= lengths[i]
    return rows


def packed(rows, values, offsets, context, pad):
    """Values, positions and segments of packed rows."""
    shape = (len(rows), context)
    out = np.full((*shape, *values.shape[1:]), pad, values.dtype)
    positions, segments = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for i, row in enumerate(rows):
        at = 0
        for number, sequence in enumerate(row):
            of_sequence = values[offsets[sequence] : offsets[sequence + 1]]
            place = slice(at, at + len(of_sequence))
            out[i, place] = of_sequence
            positions[i, place] = np.arange(len(of_sequence))
            segments[i, place] = number + 1
            at += len(of_sequence)
    return out, positions, segments
