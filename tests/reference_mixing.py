"""Slow twins of how batches are mixed: shares and boxes to the bit, from plain floating-point operations."""

import math
import struct

from reference import WORD, philox4x64, sfc64

MIX = 14  # the stream: see fb_random.h

LN2_HIGH, LN2_LOW = float.fromhex("0x1.62e42fee00000p-1"), float.fromhex("0x1.a39ef35793c76p-33")
INVERSE_LN2 = float.fromhex("0x1.71547652b82fep+0")
ROOT_HALF = 0x3FE6A09E667F3BCD


def bits_of(x):
    return struct.unpack("<q", struct.pack("<d", x))[0]


def float_of(bits):
    return struct.unpack("<d", struct.pack("<q", bits))[0]


def log(x):
    """Of a positive float."""
    exponent = 0
    if x < 2.0**-1022:
        x, exponent = x * 2.0**54, -54
    shifted = bits_of(x) - ROOT_HALF
    exponent += shifted >> 52
    m = float_of((shifted & (2**52 - 1)) + ROOT_HALF)
    s = (m - 1) / (m + 1)
    z = s * s
    series = 1 / 23
    for odd in range(21, 1, -2):
        series = series * z + 1 / odd
    return exponent * LN2_HIGH + (exponent * LN2_LOW + (2 * s + 2 * s * (z * series)))


def exp(x):
    if x > 710:
        return math.inf
    if x < -746:
        return 0.0
    exponent = int(x * INVERSE_LN2 + (-0.5 if x < 0 else 0.5))
    r = (x - exponent * LN2_HIGH) - exponent * LN2_LOW
    series = 1 / math.factorial(13)
    for n in range(12, 1, -1):
        series = series * r + 1 / math.factorial(n)
    power = 1 + (r + r * r * series)
    half = int(exponent / 2)
    return power * 2.0**half * 2.0 ** (exponent - half)


def unit(words):
    return ((next(words) >> 12) + 0.5) * 2.0**-52


def log_gamma_variate(shape, words):
    d = (shape + 1 if shape < 1 else shape) - 1 / 3
    c = 1 / math.sqrt(9 * d)
    while True:
        square = 1
        while square >= 1:
            x = 2 * unit(words) - 1
            y = 2 * unit(words) - 1
            square = x * x + y * y
        normal = x * math.sqrt(-2 * log(square) / square)
        root = 1 + c * normal
        if root <= 0:
            continue
        v = root * root * root
        if log(unit(words)) < normal * normal / 2 + d - d * v + d * log(v):
            return log(d * v) + (log(unit(words)) / shape if shape < 1 else 0)


def mix(alpha, key, epoch, position, size=None):
    """The share that rows keep, or (that, (top, bottom, left, right)) of images of a size."""
    words = sfc64(philox4x64(key, (epoch, MIX, position, 0)))
    next(words)  # whether the batch is mixed
    one = log_gamma_variate(alpha, words)
    other = log_gamma_variate(alpha, words)
    share = 1 / (1 + exp(other - one))
    if size is None:
        return share
    side = math.sqrt(1 - share)
    (top, bottom), (left, right) = (around(next(words) * n // WORD, int(n * side), n) for n in size)
    return 1 - (bottom - top) * (right - left) / (size[0] * size[1]), (top, bottom, left, right)


def around(middle, extent, n):
    """What of a range of this extent lies in [0, n)."""
    first = middle - extent // 2
    return max(first, 0), min(first + extent, n)
