"""Slow, obvious twins of what orders rows by their lengths. Nothing here imports fastbatch."""

from reference import descending, fisher_yates, permutation, philox4x64, streamed

LENGTHS = 20  # what a derived stream is for

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


def padding(lengths, batches):
    """The share of padding."""
    if not batches:
        return 0.0
    size = sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)
    return 1 - sum(lengths[row] for batch in batches for row in batch) / size
