"""JAX: batches of jax.Arrays, which are the buffers themselves."""

import gc
import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"  # the second has memory of its own
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fastbatch as fb

N = 640
X, Y = np.arange(16.0 * N, dtype=np.float32).reshape(N, 16), np.arange(N, dtype=np.int32)


def loader_of(data=None, **options):
    return fb.Loader((X, Y) if data is None else data, 64, shuffle=True, seed=1, output="jax", **options)


def live(loader):
    return [alive for alive, _ in loader._epochs.engine.buffers()]


@pytest.mark.parametrize("threads", [0, 2])
def test_batches_are_jax_arrays_with_the_rows_of_numpys(threads):
    loader, expected = loader_of(threads=threads), fb.Loader((X, Y), 64, shuffle=True, seed=1)
    for _ in range(2):
        for mine, theirs in zip(loader, expected, strict=True):
            for left, right in zip(mine, theirs, strict=True):
                assert isinstance(left, jax.Array)
                assert left.dtype == right.dtype
                assert np.array_equal(left, right)
    assert "handed over as jax.Array" in loader.explain()


@pytest.mark.parametrize("threads", [0, 2])
def test_a_buffer_stays_as_it_is_for_as_long_as_jax_holds_it(threads):
    loader = loader_of(threads=threads, prefetch=4 if threads else None)
    addresses, held = set(), []
    for epoch in range(3):
        for x, y in loader:
            held.append((x, y, x * 2, jnp.reshape(x, (-1,)), epoch))
            addresses.add(x.unsafe_buffer_pointer())
    assert len(addresses) == 30  # no two share memory
    assert all(address % 64 == 0 for address in addresses)
    for epoch in range(3):
        order = fb.Shuffle(N).order(1, epoch).reshape(-1, 64)
        for rows, (x, y, twice, flat, _) in zip(order, (kept for kept in held if kept[4] == epoch), strict=True):
            assert np.array_equal(x, X[rows])
            assert np.array_equal(y, Y[rows])
            assert np.array_equal(twice, 2 * X[rows])
            assert np.array_equal(flat, X[rows].ravel())
    assert min(live(loader)) >= 30
    del held, x, y, twice, flat
    gc.collect()
    assert max(live(loader)) <= 16  # what is idle is kept, the rest is freed


def test_nothing_is_copied_and_memory_is_used_again():
    loader = loader_of(threads=0)
    addresses = set()
    for _ in range(5):
        for x, _y in loader:
            x.block_until_ready()
            addresses.add(x.unsafe_buffer_pointer())
    assert len(addresses) <= 4


def test_work_that_jax_has_not_begun_keeps_its_batch():
    step = jax.jit(lambda total, x: total + jnp.sin(x).sum())
    totals = []
    for threads in (0, 2):
        total = jnp.float32(0)
        for x, _ in loader_of(threads=threads):
            total = step(total, x)  # asynchronous: x is gone from here before it is read
        totals.append(float(total))
    assert totals[0] == totals[1] == pytest.approx(float(np.sin(X).sum()), rel=1e-3)


def test_what_jax_has_no_dtype_for_is_refused_and_row_numbers_are_numpys():
    with pytest.raises(TypeError, match="JAX has no dtype for float64, or only with jax_enable_x64; convert the data"):
        loader_of(np.arange(10.0))
    x, rows = next(iter(loader_of(X, rows=True)))
    assert isinstance(rows, np.ndarray)
    assert np.array_equal(x, X[rows])
    half = next(iter(loader_of(X.astype(np.float16))))
    assert half.dtype == jnp.float16
    flags = next(iter(loader_of(Y % 2 == 0)))
    assert flags.dtype == jnp.bool_


def test_bfloat16_tensors_of_torch_become_bfloat16():
    torch = pytest.importorskip("torch")
    batch = next(iter(loader_of(torch.arange(N).to(torch.bfloat16))))
    assert batch.dtype == jnp.bfloat16


# ---------------------------------------------------------------------------------------------------------------------
# On a device
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("put", ["device", "sharding"])
def test_batches_are_put_on_a_device_and_their_buffers_are_used_again(threads, put):
    device = jax.devices()[1]
    where = device if put == "device" else jax.sharding.SingleDeviceSharding(device)
    loader = loader_of(threads=threads, device=where)
    expected = fb.Loader((X, Y), 64, shuffle=True, seed=1)
    held = []
    for _ in range(3):
        for mine, theirs in zip(loader, expected, strict=True):
            assert all(leaf.devices() == {device} for leaf in mine)
            held.append((mine, theirs))
    assert all(np.array_equal(left, right) for mine, theirs in held for left, right in zip(mine, theirs, strict=True))
    gc.collect()
    assert max(live(loader)) <= 16  # 30 batches are held, of which none needs a buffer any more
    assert f"handed over on {where}, copied from the CPU's memory" in loader.explain()


def test_two_batches_are_on_their_way_and_do_not_count_as_delivered():
    loader = loader_of(device=jax.devices()[1], threads=0)
    iterator = iter(loader)
    for i in range(1, 5):
        next(iterator)
        assert loader.state_dict()["position"] == i * 64
        assert loader._epochs._live[0].delivered == (i + 2) * 64
    resumed = loader_of(device="cpu")
    resumed.load_state_dict(loader.state_dict())
    assert np.array_equal(np.concatenate([y for _, y in resumed]), fb.Shuffle(N).order(1, 0)[256:])


def test_map_has_arrays_of_the_device():
    device = jax.devices()[1]
    for map_threads in (0, 2):
        loader = loader_of(
            device=device, map=lambda batch: (batch[0].devices(), batch[1].sum()), map_threads=map_threads
        )
        found = list(loader)
        assert all(devices == {device} for devices, _ in found)
        assert sum(int(total) for _, total in found) == Y.sum()


@pytest.mark.parametrize(("device", "error"), [(3, TypeError), (1.5, TypeError), ("tpu", RuntimeError)])
def test_a_device_that_is_none_or_not_there_is_refused(device, error):
    with pytest.raises(error):
        loader_of(device=device)


@pytest.mark.parametrize("threads", [0, 2])
def test_rows_of_different_lengths(threads):
    lengths = np.random.default_rng(0).integers(1, 20, N)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = np.arange(offsets[-1], dtype=np.int32)
    for options in ({"multiple": 8}, {"length": 16}, {"layout": "packed"}):
        ragged = fb.Ragged(values, offsets, **options)
        mine, theirs = (
            loader_of({"x": ragged, "y": Y}, threads=threads),
            fb.Loader((ragged, Y), 64, shuffle=True, seed=1),
        )
        for left, (x, y) in zip(mine, theirs, strict=True):
            assert np.array_equal(left["y"], y)
            for array, expected in zip(left["x"], x, strict=True):
                is_count = expected.dtype == np.int64  # which JAX has only with jax_enable_x64
                assert isinstance(array, np.ndarray if is_count else jax.Array)
                assert np.array_equal(array, expected)
