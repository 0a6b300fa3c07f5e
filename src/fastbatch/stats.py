"""What a Loader has done, in figures."""

from __future__ import annotations

from typing import Any, NamedTuple


class Stats(NamedTuple):
    """What a Loader has done since it was made, or since the last reset.

    Times are sampled where batches come faster than every 10 us: one in 64 stands for all.

    Attributes
    ----------
    epochs : int
        That came to their end.
    batches, samples, nbytes : int
        Delivered; those that are on their way through map threads, or to a device, included.
    fill_seconds : float
        Time that filling took, of all threads together.
    wait_seconds : float
        Time in which whoever iterates waited for a batch: the stall.
    wait_share : float
        Of the time from the beginning of each epoch to its last batch.
    ready_share : float
        Of the batches, those that were ready when they were asked for.
    slots : int
        Buffers there are now, one for each column of a batch.
    leases : int
        Of these, how many batches in use hold.
    live_nbytes : int
        Bytes of the buffers.
    threads : int
        Native threads alive now.
    """

    epochs: int
    batches: int
    samples: int
    nbytes: int
    fill_seconds: float
    wait_seconds: float
    wait_share: float
    ready_share: float
    slots: int
    leases: int
    live_nbytes: int
    threads: int


def stats_of(report: dict[str, Any]) -> Stats:
    """The figures in an engine's report, with those of the map threads in the place of its own."""
    given = {name: report[name] for name in Stats._fields if name in report}
    return Stats(
        wait_share=_share(report["wait_seconds"], report["elapsed_seconds"]),
        ready_share=_share(report["ready"], report.get("handed_out", report["batches"])),
        **given,
    )


def _share(part: float, whole: float) -> float:
    return min(1.0, part / whole) if whole > 0 else 0.0
