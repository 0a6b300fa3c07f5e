"""What is drawn at random for a row follows from its place in the epoch, whoever says what a batch is."""

import numpy as np
import pytest

import fastbatch as fb
from fastbatch._native.sampler import Fed
from iterating import iterate, open_epoch
from own_samplers import Keeping

N = 61
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (N, 9, 9, 1), dtype=np.uint8)
NUMBERS = np.arange(N)
LENGTHS = RNG.integers(1, 12, N)
ORDER = RNG.permutation(N).tolist()
CUTS = np.cumsum(RNG.integers(1, 7, 40))
LISTS = [part.tolist() for part in np.split(ORDER, CUTS[CUTS < N])]

SOURCES = {
    "order": lambda: {"batch_size": 4, "shuffle": True},
    "rows": lambda: {"batch_size": 4, "sampler": Keeping(ORDER)},
    "lists": lambda: {"batch_sampler": Keeping(LISTS)},
    "budget": lambda: {"batch_sampler": fb.TokenBudget(LENGTHS, 40, window=16)},
}
CROP = {0: fb.RandomCrop(5, padding=2)}
MIX = {0: [fb.RandomCrop(5, padding=2), fb.Cast("float32")], (0,): fb.MixUp(0.4)}

each_source = pytest.mark.parametrize("source", SOURCES)
workers = pytest.mark.parametrize(("threads", "prefetch"), [(0, None), (2, 5)])


def loaders(source, transforms, world_size=1, **options):
    """One for each rank, of images and the numbers of their rows."""
    options = {"seed": 5, "uneven": "exact", **options}
    return [
        fb.Loader(
            (IMAGES, NUMBERS), transforms=transforms, rank=rank, world_size=world_size, **SOURCES[source](), **options
        )
        for rank in range(world_size)
    ]


def crops_of(batches):
    """Each row's number, and its image as it came."""
    return [(int(row), image.tobytes()) for images, rows in batches for row, image in zip(rows, images, strict=True)]


@each_source
@workers
@pytest.mark.parametrize("world_size", [2, 3])
def test_a_row_is_cropped_alike_on_any_number_of_ranks(source, threads, prefetch, world_size):
    for epoch in range(2):
        alone, *ranks = (*loaders(source, CROP), *loaders(source, CROP, world_size, threads=threads, prefetch=prefetch))
        for loader in (alone, *ranks):
            loader.set_epoch(epoch)
        expected = crops_of(alone)
        assert sorted(row for row, _ in expected) == list(range(N))
        assert sorted(crop for loader in ranks for crop in crops_of(loader)) == sorted(expected)


@each_source
@workers
@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (2, 3)])
def test_so_it_is_when_an_epoch_is_taken_up_on_others(source, threads, prefetch, before, after):
    options = {"threads": threads, "prefetch": prefetch}
    expected = sorted(crops_of(loaders(source, CROP)[0]))
    for n_steps in (0, 1, 3):
        first = loaders(source, CROP, before, **options)
        epochs = [iter(loader) for loader in first]
        crops = [crop for epoch in epochs for crop in crops_of([next(epoch) for _ in range(n_steps)])]
        second = loaders(source, CROP, after, **options)
        for loader in second:
            loader.load_state_dict(first[0].state_dict())
        assert sorted(crops + [crop for loader in second for crop in crops_of(loader)]) == expected


@pytest.mark.parametrize("source", ["order", "rows"])
@workers
def test_so_it_is_when_the_batch_size_moves(source, threads, prefetch):
    expected = sorted(crops_of(loaders(source, CROP)[0]))
    ranks, crops = loaders(source, CROP, 2, threads=threads, prefetch=prefetch), []
    for loader in ranks:
        epoch = iter(loader)
        crops += crops_of([next(epoch), next(epoch)])
        loader.batch_size = 3
        crops += crops_of([next(epoch)])
        loader.batch_size = 5
        crops += crops_of(epoch)
    assert sorted(crops) == expected


@pytest.mark.parametrize("source", ["lists", "budget"])
@workers
@pytest.mark.parametrize("world_size", [2, 3])
def test_a_batch_is_mixed_alike_on_any_number_of_ranks(source, threads, prefetch, world_size):
    alone = list(loaders(source, MIX)[0])
    n_whole = len(alone) // world_size * world_size  # the batches of the last step may be split
    for rank, loader in enumerate(loaders(source, MIX, world_size, threads=threads, prefetch=prefetch)):
        own = list(loader)
        for (images, rows), (mixed, mixed_rows) in zip(alone[rank:n_whole:world_size], own, strict=False):
            np.testing.assert_array_equal(rows, mixed_rows)
            np.testing.assert_array_equal(images, mixed)


@pytest.mark.parametrize("source", ["order", "budget"])
@pytest.mark.parametrize("transforms", [CROP, MIX], ids=["crop", "mix"])
@pytest.mark.parametrize("world_size", [1, 3])
def test_a_batch_by_number_is_the_one_that_comes(source, transforms, world_size):
    for loader in loaders(source, transforms, world_size):
        for i, (images, rows) in enumerate(loader):
            again, rows_again = loader.batch(0, i)
            np.testing.assert_array_equal(rows, rows_again)
            np.testing.assert_array_equal(images, again)


@workers
def test_a_batch_that_is_given_back_comes_again_as_it_was(threads, prefetch):
    expected = [images.tobytes() for images, _ in loaders("lists", CROP, 2)[1]]
    failing = [True]

    def fail_once(batch):
        if failing and len(got) == 2:
            failing.clear()
            raise KeyError("mine")
        return batch

    loader, got = loaders("lists", CROP, 2, threads=threads, prefetch=prefetch, map=fail_once)[1], []
    with pytest.raises(KeyError, match="mine"):
        got.extend(images.tobytes() for images, _ in loader)
    got += [images.tobytes() for images, _ in resumed(loader)]
    assert got == expected


def resumed(loader):
    """Another Loader of rank 1 of 2 at the same place."""
    other = loaders("lists", CROP, 2)[1]
    other.load_state_dict(loader.state_dict())
    return other


def test_batches_that_are_put_back_keep_their_places():
    loader = loaders("lists", CROP, threads=1, prefetch=4)[0]

    def fed():
        epoch = open_epoch(loader._epochs.engine, Fed(N), 0, fed=True, helped=False)
        for rows, position in (([3, 4], 100), ([5], 7), ([], 900), ([6, 3], 50)):
            epoch.feed(np.array(rows, np.uint32), position)
        epoch.end_feed()
        return epoch

    expected = crops_of(iterate(fed()))
    epoch = fed()
    for number in range(3):
        assert epoch.take() == number
    epoch.fill(1)
    epoch.put_back()
    assert crops_of(iterate(epoch)) == expected
    assert len({crop for row, crop in expected if row == 3}) == 2  # it is drawn anew at another place


def test_rows_that_are_cut_into_batches_have_no_place_of_their_own():
    epoch = open_epoch(loaders("lists", CROP)[0]._epochs.engine, Fed(N), 4, fed=True)
    with pytest.raises(ValueError, match="batches of 4 follow each other, got position 3"):
        epoch.feed(np.array([1], np.uint32), 3)


@pytest.mark.parametrize("world_size", [1, 2])
def test_an_error_of_map_names_the_places_of_a_batch_that_was_fed(world_size):
    def fail(batch):
        raise KeyError("mine")

    lists = [list(range(first, first + 3)) for first in range(0, 12, 3)]
    for rank in range(world_size):
        options = {"batch_sampler": lists, "rank": rank, "world_size": world_size, "seed": 0}
        with pytest.raises(KeyError) as raised:
            list(fb.Loader(NUMBERS, map=fail, **options))
        assert raised.value.__notes__ == [
            f"raised by map at batch 0 of epoch 0 (its rows {3 * rank} to {3 * rank + 3})"
        ]


def test_batches_that_are_fed_keep_their_sizes():
    epoch = open_epoch(loaders("lists", CROP)[0]._epochs.engine, Fed(N), 0, fed=True)
    with pytest.raises(ValueError, match="have sizes of their own, got batch_size 4"):
        epoch.set_batch_size(4)
