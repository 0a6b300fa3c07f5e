"""Slow, obvious twins of the kernels, and the statistics that judge an order.

Nothing here imports fastbatch: a twin says what the result must be, in NumPy or in plain Python.
"""

import itertools
import math
from fractions import Fraction
from itertools import count as counter

import numpy as np

WORD = 2**64

# Up to so many rows an order is one Fisher-Yates; above it, buckets.
ONE_UNIT_ROWS = 2**22

# ---------------------------------------------------------------------------------------------------------------------
# Arrays of every kind
# ---------------------------------------------------------------------------------------------------------------------

DTYPES = [
    np.dtype(spec)
    for spec in (
        *("?", "i1", "u1", "i2", "u2", ">i2", "i4", "u4", ">u4", "i8", "u8", ">i8"),
        *("f2", "f4", "f8", ">f8", "g", "c8", "c16", "G"),
        *("M8[ns]", "M8[D]", "m8[us]", "S1", "S3", "S16", "U1", "U5", "V1", "V2", "V4", "V7", "V8", "V16", "V33"),
        [("flag", "?"), ("weight", "f8")],
        np.dtype([("flag", "?"), ("weight", "f8"), ("tag", "S3")], align=True),
        [("image", "u1", (3, 2)), ("point", [("x", "f4"), ("y", "f4")]), ("name", "U2")],
    )
]
ZERO_WIDTH_DTYPES = [np.dtype("V0"), np.dtype([])]


def make_array(dtype, shape, seed=0):
    """An array of any fixed-size dtype: ordinary values (no NaN, no NaT, true bools), different from row to row."""
    dtype = np.dtype(dtype)
    rng = np.random.default_rng(seed)
    if dtype.fields is not None:
        array = np.zeros(shape, dtype)
        for position, name in enumerate(dtype.names):
            field = array[name]
            field[...] = make_array(field.dtype, field.shape, seed + 1 + position)
        return array
    if dtype.kind == "V":
        raw = rng.integers(0, 256, math.prod(shape) * dtype.itemsize, dtype=np.uint8)
        return np.ndarray(shape, dtype, raw) if raw.size else np.zeros(shape, dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    if dtype.kind in "SU":
        length = max(1, dtype.itemsize // (4 if dtype.kind == "U" else 1))
        return rng.integers(0, 10 ** min(length, 9), shape).astype(dtype)
    if dtype.kind in "Mm":
        return rng.integers(0, 10**6, shape).astype(dtype)
    top = 120 if dtype.itemsize == 1 else 30_000
    if dtype.kind == "c":
        return (rng.integers(0, top, shape) + 1j * rng.integers(0, top, shape)).astype(dtype)
    return rng.integers(0, 2000 if dtype == np.float16 else top, shape).astype(dtype)


def unaligned(array):
    """A C-contiguous copy of `array` that starts one byte past any alignment."""
    raw = np.empty(array.nbytes + 1, np.uint8)
    copy = np.ndarray(array.shape, array.dtype, raw, offset=1)
    copy[...] = array
    return copy


def fenced(shape, dtype, fence=256):
    """An uninitialised C-contiguous array and a function that says whether the bytes around it are as they were."""
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.full(nbytes + 2 * fence, 0xA5, np.uint8)
    array = np.ndarray(shape, dtype, raw, offset=fence)

    def fences_stand():
        return bool((raw[:fence] == 0xA5).all() and (raw[fence + nbytes :] == 0xA5).all())

    return array, fences_stand


def assert_identical(actual, expected):
    """Same type of element, same shape, same values."""
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    if actual.dtype.kind == "V" and actual.dtype.fields is None:
        assert actual.tobytes() == expected.tobytes()
    else:
        assert np.array_equal(actual, expected)


def sorted_rows(array):
    """The rows of a C-contiguous array as bytes, sorted: equal for two arrays that are shuffles of each other."""
    n_rows = array.shape[0]
    row_nbytes = array.nbytes // n_rows if n_rows else 0
    raw = array.tobytes()
    return sorted(raw[i * row_nbytes : (i + 1) * row_nbytes] for i in range(n_rows))


def is_permutation(order, n):
    order = np.asarray(order)
    if order.shape != (n,) or (n and (int(order.min()) < 0 or int(order.max()) >= n)):
        return False
    return bool((np.bincount(order.astype(np.int64), minlength=n) == 1).all())


def take(source, indices):
    """Rows of `source`: `np.take` along axis 0, always as a base-class ndarray."""
    return np.asarray(np.take(source, np.asarray(indices).astype(np.int64), axis=0), dtype=source.dtype)


# ---------------------------------------------------------------------------------------------------------------------
# Random streams
# ---------------------------------------------------------------------------------------------------------------------


def philox4x64(key, words):
    """One block of Philox4x64-10 (Salmon et al., SC 2011)."""
    c0, c1, c2, c3 = words
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(c0 * 0xD2E7470EE14C6C93, WORD)
        high1, low1 = divmod(c2 * 0xCA5A826395121157, WORD)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) % WORD, (k1 + 0xBB67AE8584CAA73B) % WORD
    return c0, c1, c2, c3


def sfc64(state):
    """Words of the sfc64 stream (Doty-Humphrey, PractRand) with a, b, c from `state`, after 12 discarded ones."""
    a, b, c = state[:3]
    for n_drawn in counter():
        word = (a + b + n_drawn + 1) % WORD
        a, b, c = b ^ (b >> 11), (c + (c << 3)) % WORD, (((c << 24) | (c >> 40)) + word) % WORD
        if n_drawn >= 12:
            yield word


# Below or at this bound a word yields so many draws. Draws are made in blocks, and what is left of a block and fills no
# word is drawn one by one. All of it belongs to the version of the orders.
DRAWS_PER_BLOCK = 256
DRAWS_PER_WORD = ((2**9, 6), (2**11, 5), (2**14, 4), (2**19, 3), (2**30, 2))


def draws_per_word(bound):
    return next((n_draws for most, n_draws in DRAWS_PER_WORD if bound <= most), 1)


def descending(state, bound, count, rejected=None):
    """Draws below bound, bound - 1, ...: several from one word (Brackett-Rozinsky & Lemire, arXiv 2408.06213).

    With p the product of the k bounds, a word w stands for the number floor(w * p / 2**64) in [0, p), whose digits in
    the mixed radix of the bounds are the draws. Words whose remainder is below 2**64 mod p are refused (their bounds
    are kept in `rejected`), so that every number is stood for by equally many words.
    """
    words = sfc64(state)
    draws = []
    while len(draws) < count:
        top = bound - len(draws)
        left = min(count - len(draws), DRAWS_PER_BLOCK - len(draws) % DRAWS_PER_BLOCK)
        n_draws = draws_per_word(top)
        radices = [top - i for i in range(n_draws if n_draws <= left else 1)]
        product = math.prod(radices)
        number, remainder = divmod(next(words) * product, WORD)
        while remainder < WORD % product:
            if rejected is not None:
                rejected.append(top)
            number, remainder = divmod(next(words) * product, WORD)
        digits = []
        for radix in reversed(radices):
            number, digit = divmod(number, radix)
            digits.append(digit)
        draws.extend(reversed(digits))
    return draws


# ---------------------------------------------------------------------------------------------------------------------
# Balanced orders
# ---------------------------------------------------------------------------------------------------------------------


def class_rows(labels):
    """(sorted classes, the rows of each)."""
    labels = np.asarray(labels)
    classes = np.unique(labels)
    return classes, [np.flatnonzero(labels == label).tolist() for label in classes]


def balanced_length(labels, exhausted, weights=None):
    """Rows in an epoch. `weights` are ints or Fractions, one for each class; None deals the classes evenly."""
    _, rows = class_rows(labels)
    weights = [1] * len(rows) if weights is None else weights
    total = sum(Fraction(weight) for weight in weights)
    per_share = [len(own) * total / weight for own, weight in zip(rows, weights, strict=True) if weight]
    return math.floor(min(per_share)) if exhausted == "stop" else math.ceil(max(per_share))


def assert_passes(order, labels, exhausted, left_out=()):
    """Each class's occurrences are its own passes: complete permutations of its rows, then a part of one."""
    classes, rows = class_rows(labels)
    for label, own in zip(classes, rows, strict=True):
        met = [int(row) for row in order if labels[row] == label]
        if label in left_out:
            assert met == []
            continue
        if exhausted == "stop":
            assert len(met) <= len(own), f"class {label} runs past its rows"
        else:
            assert len(met) >= len(own), f"class {label} is not seen whole"
        for first in range(0, len(met), len(own)):
            one_pass = met[first : first + len(own)]
            assert len(set(one_pass)) == len(one_pass), f"class {label} repeats a row within a pass"
            assert set(one_pass) <= set(own)


def class_counts(order, labels):
    """counts[t, c]: how often class c is met in the first t rows, for t = 0 .. len(order)."""
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    met = np.zeros((len(order) + 1, len(classes)), np.int64)
    met[np.arange(1, len(order) + 1), codes[order]] = 1
    return met.cumsum(axis=0)


def assert_even_windows(order, labels):
    """Any run of consecutive rows, wherever it starts and ends, holds class counts that differ by at most one."""
    if len(order) <= 64:
        counts = class_counts(order, labels)
        for start in range(len(order)):
            window = counts[start:] - counts[start]
            assert (window.max(axis=1) - window.min(axis=1)).max() <= 1
        return
    # The same, said shortly: the first n_classes rows are of different classes, and from there on the classes repeat.
    n_classes = len(np.unique(labels))
    dealt = np.asarray(labels)[order]
    assert len(np.unique(dealt[:n_classes])) == min(n_classes, len(order))
    assert np.array_equal(dealt[n_classes:], dealt[:-n_classes])


def assert_fair_prefixes(order, labels, weights):
    """Every prefix is within one row of every class's share of it, and every run of rows within two."""
    counts = class_counts(order, labels)
    total = sum(Fraction(weight) for weight in weights)
    for code, weight in enumerate(weights):
        share = Fraction(weight) / total
        # Exact: |count - share * t| < 1, multiplied by the share's denominator.
        prefix = np.arange(len(order) + 1, dtype=object)
        excess = counts[:, code].astype(object) * share.denominator - prefix * share.numerator
        assert max(abs(value) for value in excess) < share.denominator
        assert max(excess) - min(excess) < 2 * share.denominator


# ---------------------------------------------------------------------------------------------------------------------
# Statistics. A true order fails one of them with a probability of about 1e-20, so that a failure is a bug.
# ---------------------------------------------------------------------------------------------------------------------

# Two-sided normal limits: erfc(z / sqrt(2)) = 1e-20, and the same shared out over 5 million values (mpmath, 40 digits).
Z_ONE = 9.336
Z_MILLIONS = 10.849
# One-sided, for the chi-square limits below: erfc(z / sqrt(2)) / 2 = 1e-20.
Z_TAIL = 9.2623401

# {degrees of freedom: (lower, upper)} with 1e-20 beyond each; from scipy.stats.chi2, confirmed by mpmath.gammainc.
CHI_SQUARE_1E_20 = {
    15: (0.015407, 131.6722),
    35: (1.091845, 176.1255),
    63: (6.451352, 229.1998),
    119: (26.37701, 322.8339),
    361: (165.3051, 669.1330),
    1023: (658.6609, 1500.1753),
    3969: (3199.3561, 4851.6421),
    65536: (62238.976, 68946.075),
}


def chi_square_limits(df):
    """About 1e-20 lies beyond each: Wilson & Hilferty (1931), erring outwards (a test compares it with the table)."""
    spread = 2 / (9 * df)
    low = max(0.0, 1 - spread - Z_TAIL * math.sqrt(spread))
    high = 1 - spread + Z_TAIL * math.sqrt(spread)
    return df * low**3, df * high**3


def chi_square(observed, expected):
    observed = np.asarray(observed, np.float64)
    return float(((observed - expected) ** 2 / expected).sum())


def uniform_fault(observed):
    """What is wrong with counts of equally likely outcomes, or None."""
    observed = np.asarray(observed)
    statistic = chi_square(observed, observed.sum() / observed.size)
    low, high = chi_square_limits(observed.size - 1)
    return None if low <= statistic <= high else f"chi-square {statistic:.1f} outside {low:.1f} .. {high:.1f}"


def place_fault(orders, n_blocks):
    """What is wrong with where values stand: blocks of values against blocks of positions, over many orders of n.

    `orders` has shape (n_orders, n). Both margins of the table are fixed, as every value stands somewhere once; its
    chi-square times (n - 1) / n has (n_blocks - 1)**2 degrees of freedom. Too even is a fault too.
    """
    n_orders, n = orders.shape
    block = (np.arange(n) * n_blocks) // n
    sizes = np.bincount(block, minlength=n_blocks)
    table = np.zeros(n_blocks * n_blocks, np.int64)
    for order in orders:
        table += np.bincount(block * n_blocks + block[order], minlength=n_blocks * n_blocks)
    expected = n_orders * np.outer(sizes, sizes).ravel() / n
    statistic = chi_square(table, expected) * (n - 1) / n
    low, high = chi_square_limits((n_blocks - 1) ** 2)
    return None if low <= statistic <= high else f"chi-square {statistic:.1f} outside {low:.1f} .. {high:.1f}"


def pair_fault(orders, position):
    """What is wrong with the values at `position` and the next one: all n (n - 1) pairs are equally likely."""
    n = orders.shape[1]
    first, second = orders[:, position].astype(np.int64), orders[:, position + 1].astype(np.int64)
    if (first == second).any():
        return "a value stands twice"
    pairs = np.bincount(first * (n - 1) + second - (second > first), minlength=n * (n - 1))
    return uniform_fault(pairs)


def neighbour_fault(order, n_blocks=32):
    """What is wrong with neighbours in one long order: the blocks of values at positions 2i and 2i + 1."""
    n = order.size - order.size % 2
    block = (order.astype(np.int64) * n_blocks) // order.size
    return uniform_fault(np.bincount(block[0:n:2] * n_blocks + block[1:n:2], minlength=n_blocks**2))


def correlation(left, right, lag):
    """Correlation of left[i] and right[i + lag] over one order (or two) of the same n, in standard deviations."""
    n = left.size
    middle = (n - 1) / 2
    variance = (n * n - 1) / 12
    left, right = left[: n - lag] - middle, right[lag:] - middle
    return float(left @ right) / (variance * math.sqrt(n - lag))


def correlations_at_all_lags(left, right):
    """The same at each of the n circular lags at once, by Fourier transform."""
    n = left.size
    middle = (n - 1) / 2
    variance = (n * n - 1) / 12
    spectrum = np.fft.rfft(left - middle).conj() * np.fft.rfft(right - middle)
    return np.fft.irfft(spectrum, n) / (variance * math.sqrt(n))


def lag_fault(order):
    """What is wrong with an order's correlation with itself: lags 1, 2, 4 ... 1024, then every lag there is."""
    for lag in (2**k for k in range(11)):
        z = correlation(order, order, lag)
        if abs(z) > Z_ONE:
            return f"lag {lag}: {z:.1f} standard deviations"
    every = np.abs(correlations_at_all_lags(order, order)[1:])
    worst = int(every.argmax()) + 1
    return None if every[worst - 1] <= Z_MILLIONS else f"lag {worst}: {every[worst - 1]:.1f} standard deviations"


def ascent_fault(order):
    """What is wrong with how often the order rises: (n - 1) / 2 times, with variance (n + 1) / 12."""
    n = order.size
    rises = int((order[1:] > order[:-1]).sum())
    z = (rises - (n - 1) / 2) / math.sqrt((n + 1) / 12)
    return None if abs(z) <= Z_ONE else f"{rises} rises: {z:.1f} standard deviations"


def draw_fault(draws, bound):
    """What is wrong with draws from [0, bound), bound far above their number: top bits, low bits, remainders, mean.

    A lost rejection step shows in the remainders: with bound 3 * 2**62, multiples of 3 come twice as often.
    """
    draws = np.asarray(draws, np.uint64)
    fraction = draws.astype(np.float64) / float(bound)
    tops = np.minimum((fraction * 256).astype(np.int64), 255)
    lows = (draws & np.uint64(63)).astype(np.int64)
    remainders = (draws % np.uint64(105)).astype(np.int64)
    z = (float(fraction.mean()) - 0.5) * math.sqrt(12 * draws.size)
    cells = ((tops, 256), (lows, 64), (remainders, 105))
    faults = [uniform_fault(np.bincount(cell, minlength=n_cells)) for cell, n_cells in cells]
    if abs(z) > Z_ONE:
        faults.append(f"mean is {z:.1f} standard deviations off")
    return next((fault for fault in faults if fault), None)


def lean_fault(draws, bound, per_word):
    """What is wrong with descending draws, `per_word` of which come from one word: lean towards what more words mean.

    Of the p values that a word can stand for, (2**64 mod p) are stood for by one word more than the others, and must
    not come more often for that.
    """
    n_more = 0
    expected = variance = 0.0
    for first in range(0, len(draws), per_word):
        product, number = 1, 0
        for i in range(first, first + per_word):
            product *= bound - i
            number = number * (bound - i) + int(draws[i])
        fewest, extra = divmod(WORD, product)
        n_words = -(-(number + 1) * WORD // product) - -(-number * WORD // product)
        n_more += n_words > fewest
        expected += extra / product
        variance += extra / product * (1 - extra / product)
    z = (n_more - expected) / math.sqrt(variance)
    return None if abs(z) <= Z_ONE else f"leaning by {z:.1f} standard deviations"


def order_number(orders):
    """The place of each order of n (few) values in the list of all n! orders, as counted in the factorial system."""
    number = np.zeros(len(orders), np.int64)
    n = orders.shape[1]
    for position in range(n):
        smaller = (orders[:, position + 1 :] < orders[:, position : position + 1]).sum(axis=1)
        number = number * (n - position) + smaller
    return number


# Biased on purpose: what the statistics must refuse.


def naive_orders(n, n_orders, rng):
    """Swap each position with any position: the wrong shuffle that everyone writes once."""
    orders = np.tile(np.arange(n), (n_orders, 1))
    every = np.arange(n_orders)
    for position in range(n):
        other = rng.integers(0, n, n_orders)
        orders[every, position], orders[every, other] = orders[every, other], orders[every, position].copy()
    return orders


def sattolo_orders(n, n_orders, rng):
    """Never leave an element where it is: only cyclic orders."""
    orders = np.tile(np.arange(n), (n_orders, 1))
    every = np.arange(n_orders)
    for position in range(n - 1, 0, -1):
        other = rng.integers(0, position, n_orders)
        orders[every, position], orders[every, other] = orders[every, other], orders[every, position].copy()
    return orders


# ---------------------------------------------------------------------------------------------------------------------
# Orders, draw by draw
# ---------------------------------------------------------------------------------------------------------------------

LABELS, BUCKET, CLASSES, PASS, BIJECTION, BLOCKS, WINDOW = 1, 2, 3, 4, 7, 8, 9  # what a derived stream is for


def fisher_yates(items, seed):
    """Durstenfeld's shuffle from the front: place t trades with one of t, t + 1, ..."""
    items = list(items)
    for t, draw in enumerate(descending(seed, len(items), len(items))):
        items[t], items[t + draw] = items[t + draw], items[t]
    return items


def key_of_rng(rng):
    return tuple(np.random.default_rng(rng).integers(0, WORD - 1, 2, np.uint64, endpoint=True).tolist())


def key_of_seed(seed):
    return tuple(np.random.SeedSequence(seed).generate_state(2, np.uint64).tolist())


def permutation(n, key, epoch=0):
    """Up to ONE_UNIT_ROWS rows."""
    return fisher_yates(range(n), philox4x64(key, (epoch, BUCKET, 0, 0)))


def shuffle(x, rng):
    """The rows of `x` in the order that fb.shuffle gives them."""
    return x[permutation(len(x), key_of_rng(rng))]


def balanced(labels, key, epoch, exhausted, weights=None):
    """The order of fb.Balanced: whose turn it is, and that class's next row."""
    _, rows = class_rows(labels)
    n_classes, n_rows = len(rows), balanced_length(labels, exhausted, weights)
    if weights is not None:
        kept = [c for c in range(n_classes) if weights[c]]
        if len(kept) == 1:
            rows, n_classes, weights = [rows[kept[0]]], 1, None
    dealt = fisher_yates(range(n_classes), philox4x64(key, (epoch, CLASSES, 0, 0)))
    if weights is None or len(set(weights)) == 1:
        turns = itertools.islice(itertools.cycle(dealt), n_rows)
    else:
        turns = tijdeman(weights, dealt, n_rows)
    order, met, passes = [], [0] * n_classes, {}
    for c in turns:
        number, place = divmod(met[c], len(rows[c]))
        if (c, number) not in passes:
            passes[c, number] = fisher_yates(rows[c], philox4x64(key, (epoch, PASS, c, number)))
        order.append(passes[c, number][place])
        met[c] += 1
    return order


def tijdeman(weights, ranks, n_rows):
    """Classes by share: of those whose next row may come, the one whose latest place is the earliest."""
    total, s = sum(weights), 2 * sum(w > 0 for w in weights) - 2
    met = [0] * len(weights)
    for position in range(n_rows):

        def latest(c):
            return (s * met[c] + s - 1) * total // (s * weights[c]), ranks[c]

        ready = [c for c, w in enumerate(weights) if w and -(-(s * met[c] + 1) * total // (s * w)) - 1 <= position]
        c = min(ready, key=latest)
        met[c] += 1
        yield c


def bucketed(n, key, epoch=0):
    """Above ONE_UNIT_ROWS: rows to random buckets, along cycles; then each bucket by itself."""
    bits = 1
    while bits < 10 and (2**17 << bits) < n:
        bits += 1
    labels, n_buckets = bucket_labels(philox4x64(key, (epoch, LABELS, 0, 0)), bits, n), 2**bits
    starts = [0, *np.cumsum(np.bincount(labels, minlength=n_buckets)).tolist()]
    rows, free, labels = list(range(n)), starts[:-1], iter(labels.tolist())
    for bucket in range(n_buckets):
        while free[bucket] < starts[bucket + 1]:
            label = next(labels)
            place = free[label]
            free[label] += 1
            if label != bucket:
                rows[free[bucket]], rows[place] = rows[place], rows[free[bucket]]
    for bucket in range(n_buckets):
        own = slice(starts[bucket], starts[bucket + 1])
        rows[own] = fisher_yates(rows[own], philox4x64(key, (epoch, BUCKET, bucket, 0)))
    return rows


def bucket_labels(seed, bits, n):
    """A word holds floor(64 / bits) labels, the lowest first."""
    words, per_word = sfc64(seed), 64 // bits
    drawn = np.array([next(words) for _ in range(-(-n // per_word))], np.uint64)
    shifts = np.arange(per_word, dtype=np.uint64) * np.uint64(bits)
    return (drawn[:, None] >> shifts & np.uint64(2**bits - 1)).ravel()[:n].astype(np.int64)


def streamed(place, n, key, epoch, n_rounds=12):
    """The row at a place of a streaming order: a Feistel network over 2**bits columns and as many rows as n needs."""
    bits = next(bits for bits in range(8, 32) if bits == 31 or 4**bits >= n)
    n_right = -(-n // 2**bits)
    seeds = [philox4x64(key, (epoch, BIJECTION, unit, 0)) for unit in range(n_rounds)]

    def mixed(half, seed):
        word = (half + (seed[0] >> 32)) * (seed[1] >> 32 | 1) % 2**32
        return (word ^ word >> 15) * 0x9E3779B1 % 2**32

    while True:
        left, right = divmod(place, n_right)
        for first, second in zip(seeds[::2], seeds[1::2], strict=True):
            left ^= mixed(right, first) >> (32 - bits)
            word = mixed(left, second)
            if n < 2**32:  # rounded to the nearest float32
                by = int(np.float32(word >> 9) * np.float32(n_right * 2.0**-23))
            else:
                by = word * n_right >> 32
            right = (right + by) % n_right
        place = left * n_right + right
        if place < n:
            return place


def blocks(n, block, window, key, epoch):
    """The order of fb.Blocks: blocks in random order, then the rows of each window of them."""
    places = fisher_yates(range(-(-n // block)), philox4x64(key, (epoch, BLOCKS, 0, 0)))
    order = []
    for unit, first in enumerate(range(0, len(places), window)):
        rows = [
            row for place in places[first : first + window] for row in range(place * block, min(n, (place + 1) * block))
        ]
        order += fisher_yates(rows, philox4x64(key, (epoch, WINDOW, unit, 0)))
    return order


def passes(items, together, key, epoch, class_):
    """Endless random passes, each gone through until a multiple of `together` items is reached."""
    times = together // math.gcd(len(items), together)
    for number in counter():
        yield from fisher_yates(items, philox4x64(key, (epoch, PASS, class_, number))) * times


def perclass(labels, n_together, of_each, n_groups, key, epoch):
    """The order of fb.PerClass: classes in turn, and the next rows of each."""
    _, rows = class_rows(labels)
    turn_key = philox4x64(key, (epoch, CLASSES, 0, 0))[:2]
    turns = passes(range(len(rows)), n_together, turn_key, epoch, 0)
    of_class = [passes(own, of_each, key, epoch, c) for c, own in enumerate(rows)]
    order = []
    for c in itertools.islice(turns, n_groups * n_together):
        order += itertools.islice(of_class[c], of_each)
    return order
