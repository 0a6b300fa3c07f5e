"""Windows of a long recording, cut where they are wanted, shifted at random and standardised: a column of one's own.

The recording is held once, as 16-bit integers. A function compiled by Numba writes batches of windows from it, as
floats, without the GIL and on any thread. There is no array of all windows, and none between recording and batch.

Needs Numba.
"""

import time

import numba
import numpy as np

import fastbatch as fb

WINDOW, STEP, SHIFT = 1024, 16, 64  # values of a window, between two of them, that one is moved by at most
N_WINDOWS, BATCH_SIZE = 200_000, 512
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@numba.njit
def random_bits(seed, position):
    """What fastbatch_random in fastbatch.h draws first. Numba makes uint64 + int64 a float: all is uint64 here."""
    bits = seed + position * GOLDEN
    for draw in range(2):
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        bits ^= bits >> np.uint64(31)
        if draw == 0:
            bits += GOLDEN
    return bits


@numba.cfunc("int64(voidptr, CPointer(int64), int64, voidptr, uint64, uint64, uint64)")
def fill(state, rows, n, out, seed, epoch, position):
    """Row i of `out` is window rows[i] of the recording at `state`."""
    recording = numba.carray(state, (N_WINDOWS * STEP + WINDOW + SHIFT,), np.int16)
    batch = numba.carray(out, (n, WINDOW), np.float32)
    for i in range(n):
        shift = random_bits(seed, position + np.uint64(i)) % np.uint64(SHIFT)
        first = rows[i] * STEP + np.int64(shift)
        window, standardised = recording[first : first + WINDOW], batch[i]
        total, squares = 0, 0
        for j in range(WINDOW):
            value = np.int64(window[j])
            total += value
            squares += value * value
        mean = total / WINDOW
        deviation = np.sqrt(squares / WINDOW - mean * mean)
        if deviation == 0:
            return i  # a window of silence has none: this row cannot be written
        scale = np.float32(1 / deviation)
        for j in range(WINDOW):
            standardised[j] = (np.float32(window[j]) - np.float32(mean)) * scale
    return n


def in_numpy(recording, rows, shifts):
    """The same windows, made one by one."""
    windows = np.stack([recording[first : first + WINDOW] for first in rows * STEP + shifts]).astype(np.int64)
    mean = windows.sum(axis=1, keepdims=True) / WINDOW
    deviation = np.sqrt((windows**2).sum(axis=1, keepdims=True) / WINDOW - mean**2)
    return ((windows - mean) / deviation).astype(np.float32)


def shifts_of(batch, recording, rows):
    """By how much each window of a batch was moved: where it fits best."""
    candidates = [in_numpy(recording, rows, shift) for shift in range(SHIFT)]
    return np.argmin([np.abs(batch - candidate).max(axis=1) for candidate in candidates], axis=0)


def main():
    rng = np.random.default_rng(0)
    n_values = N_WINDOWS * STEP + WINDOW + SHIFT
    recording = (8000 * np.sin(np.arange(n_values) / 9) + rng.normal(0, 2000, n_values)).astype(np.int16)
    windows = fb.NativeColumn(fill, N_WINDOWS, np.float32, (WINDOW,), state=recording)
    print(
        f"{recording.nbytes:,} bytes of recording; its {N_WINDOWS:,} windows would be {N_WINDOWS * WINDOW * 4:,} bytes"
    )

    loader = fb.Loader(windows, BATCH_SIZE, shuffle=True, seed=0, rows=True, threads=0)
    print(loader.explain())
    batch, rows = loader.batch(0, 0)
    shifts = shifts_of(batch, recording, rows)
    print(f"moved by {shifts.min()} to {shifts.max()}")
    print(f"as NumPy makes them: {np.allclose(batch, in_numpy(recording, rows, shifts), atol=1e-5)}")

    threaded = fb.Loader(windows, BATCH_SIZE, shuffle=True, seed=0, rows=True, threads=2)
    is_same = all(np.array_equal(mine, theirs) for (mine, _), (theirs, _) in zip(loader, threaded, strict=True))
    print(f"the same on 0 and on 2 threads: {is_same}")

    began = time.perf_counter()
    n_batches = sum(1 for _ in threaded)
    ours = (time.perf_counter() - began) / n_batches
    began = time.perf_counter()
    in_numpy(recording, rows, 0)
    theirs = time.perf_counter() - began
    print(f"a batch of {BATCH_SIZE} windows takes {ours * 1e3:.2f} ms, made in NumPy {theirs * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
