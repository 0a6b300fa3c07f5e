"""What a Loader says of itself."""

from __future__ import annotations

from fastbatch._native.column import Column, IndexedColumn
from fastbatch._native.engine import Engine
from fastbatch._native.native import NativeColumn
from fastbatch._native.simd import simd_path
from fastbatch.batching import Batching
from fastbatch.columns import Columns
from fastbatch.delivery import BFLOAT16
from fastbatch.delivery.destination import Destination
from fastbatch.mapping import Mapping
from fastbatch.ranks import Ranks
from fastbatch.samplers import Bucketed, Given, Sampler, Sequential, Subset
from fastbatch.seeding import root_key
from fastbatch.user_samplers import Planned, UserSampler

# Whether they are is another's affair: a column's, or a map's.
TO_THE_LONGEST = " where batches are padded to their longest row"


def explain(
    columns: Columns,
    sampler: Sampler | UserSampler | Planned,
    batching: Batching,
    ranks: Ranks,
    seed: int,
    epoch: int,
    engine: Engine,
    workers: tuple[int | None, int | None],
    mapping: Mapping | None,
    destination: Destination,
) -> str:
    """The plan of a Loader in words, one line for each part."""
    batch_size = batching.size
    lines = [_describe_batches(columns.n_rows, sampler, batching)]
    lines.append(f"order: {_describe_order(sampler, seed)}")
    lines += _describe_padding(sampler, batching, ranks, seed, epoch)
    if ranks.world_size > 1:
        lines.append(f"share: {ranks}")
    for i, (column, path) in enumerate(zip(columns.columns, columns.paths, strict=True)):
        varies = column.sized_axis is not None
        nbytes = f"{'up to ' * varies}{column.row_nbytes:,} bytes per row"
        if batch_size is not None:
            nbytes += f", {'about ' * varies}{column.usual_nbytes(batch_size):,} per batch"
        kind = {"numpy": "NumPy array", "torch": "torch tensor", "jax": "jax.Array"}[columns.frameworks[i]]
        source = " from a mapped file" if column.blocking and not _is_users_own(column) else ""
        dtype = "bfloat16" if column.dlpack_type == BFLOAT16 else column.dtype
        lines.append(f"{path}: {column.kernel}{source}, {dtype} {column.row_shape}, {nbytes}, handed over as {kind}")
        if columns.notes[i]:
            lines.append(f"    {columns.notes[i]}")
    lines.append(f"threads: {_describe_threads(engine, workers[0])}")
    if engine.n_threads > 0:
        lines.append(f"prefetch: up to {engine.n_ahead} batches ahead")
    if destination.carrier is not None or destination.empty is not None:
        lines.append(f"handed over {destination}")
    if mapping is not None and mapping.n_threads > 0:
        lines.append(f"map: on {mapping.n_threads} Python threads, in order")
    lines.append(f"SIMD: {simd_path()}, in kernels that have a path of their own for it")
    buffers = engine.buffers()
    if buffers:
        live, made = (sum(numbers) for numbers in zip(*buffers, strict=True))
        lines.append(f"buffers: {live:,} alive, {made:,} made so far; one is used again when its last array is gone")
    return "\n".join(lines)


def _is_users_own(column: Column) -> bool:
    return isinstance(column.inner if isinstance(column, IndexedColumn) else column, NativeColumn)


def _describe_batches(n_rows: int, sampler: Sampler | UserSampler | Planned, batching: Batching) -> str:
    if isinstance(sampler, Planned):
        budget = sampler.sampler
        some = "" if budget.rows is None else f"{len(budget):,} of "
        most = "" if budget.max_rows is None else f" and {budget.max_rows:,} rows"
        return f"{some}{n_rows:,} rows in batches of up to {budget.tokens:,} tokens{most}, padding counted"
    if batching.size is None:
        return f"{n_rows:,} rows in batches of a batch_sampler"
    tail = "dropped" if batching.drop_last else "kept"
    return f"{n_rows:,} rows in batches of {batching.size:,} rows, a shorter last batch is {tail}"


def _describe_padding(
    sampler: Sampler | UserSampler | Planned, batching: Batching, ranks: Ranks, seed: int, epoch: int
) -> list[str]:
    """Of samplers that know how long rows are: what padding costs in the present epoch."""
    if isinstance(sampler, Planned):
        budget, n_batches = sampler.sampler, len(sampler.steps(root_key(seed), epoch, 0, ranks))
        each = " on each rank" if ranks.world_size > 1 else ""
        rounded = "" if budget.multiple == 1 else f", rounded up to a multiple of {budget.multiple:,}"
        share = f"{budget.padding(seed, epoch):.1%} padding{TO_THE_LONGEST}{rounded}"
        return [f"epoch {epoch}: {n_batches:,} batches{each}, {share}"]
    while isinstance(sampler, Subset):
        sampler = sampler.sampler
    if not isinstance(sampler, Bucketed) or batching.size is None or batching.schedule is not None:
        return []
    present = sampler.padding(seed, epoch, batching.size)
    lines = [f"epoch {epoch}: {present:.1%} padding{TO_THE_LONGEST}"]
    if batching.size < sampler.n and sampler.block % batching.size != 0:  # batches are of several blocks
        other = sampler.of_blocks(batching.size)
        better = other.padding(seed, epoch, batching.size)
        if better < present:
            lines.append(f"    block should be the batch size: {other!r} has {better:.1%}")
    return lines


def _describe_order(sampler: Sampler | UserSampler | Planned, seed: int) -> str:
    if isinstance(sampler, UserSampler):
        kind = "batches" if sampler.batches else "row numbers"
        return f"{kind} from {sampler.fingerprint}, checked as they are drawn"
    if isinstance(sampler, Sequential):
        return "that of the data"
    if isinstance(sampler, Given):
        return f"{sampler!r}, the same every epoch"
    if isinstance(sampler, Planned):
        window = f"sorted in windows of {sampler.sampler.window:,} rows"
        return f"{sampler!r}, seed {seed}, planned when an epoch begins, 4 bytes per row, {window}"
    return f"{sampler!r}, seed {seed}, {sampler.order_memory}"


def _describe_threads(engine: Engine, asked: int | None) -> str:
    n = engine.n_threads
    if n == 0:
        why = "asked for" if asked == 0 else "this process may use one core"
        return f"none ({why}), each batch is filled by whoever asks for it"
    if not engine.is_measured:
        return f"{n}, as asked for, fill batches ahead"
    report = engine.report()
    doing = "fill batches ahead" if report["fills_ahead"] else "prepare orders ahead, and fill no batches"
    if report["trials"] == 0:
        return f"up to {n}, which {doing}: filling takes too little, or has not been tried"
    with_threads, without = report["period_with"] * 1e6, report["period_without"] * 1e6
    return (
        f"up to {n}, which {doing}: tried {report['trials']} times, the last time {with_threads:,.1f} us per batch "
        f"with them and {without:,.1f} us without"
    )
