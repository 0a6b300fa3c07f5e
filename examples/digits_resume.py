"""Stopping in the middle of an epoch, and going on later with another batch size.

The state is a few numbers in JSON. The rest of the epoch comes in the order it would have had, each row exactly once.
"""

import json

import numpy as np

import fastbatch as fb
from fastbatch.demo import load_digits


def main():
    images, labels = load_digits()
    first = fb.Loader((images, labels), 32, shuffle=True, seed=0, rows=True)
    rows_before = []
    for _x, _y, rows in first:  # a training step would stand here
        rows_before.append(rows)
        if len(rows_before) == 20:
            break
    saved = json.dumps(first.state_dict())
    print(f"stopped after {len(rows_before)} batches of {first.batch_size}; {first.remaining} are left")
    print(f"saved: {saved}")

    # Later, perhaps in another process: the seed comes from the state.
    second = fb.Loader((images, labels), 100, shuffle=True, rows=True)
    second.load_state_dict(json.loads(saved))
    rows_after = [rows for _x, _y, rows in second]
    print(f"went on with {len(rows_after)} batches of up to {second.batch_size}")

    delivered = np.concatenate(rows_before + rows_after)
    once = np.array_equal(np.sort(delivered), np.arange(len(images)))
    print(f"{len(delivered)} rows delivered, each of the {len(images)} images exactly once: {once}")
    whole = fb.Loader((images, labels), 32, shuffle=True, seed=0, rows=True)
    uninterrupted = np.concatenate([rows for _x, _y, rows in whole])
    print(f"in the order of an epoch without a break: {np.array_equal(delivered, uninterrupted)}")


if __name__ == "__main__":
    main()
