"""How many cores this process may use: in containers, in batch jobs and under taskset not all that the machine has."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# For each kind of cgroup file system, what holds a quota and its period: microseconds of CPU time in every period.
QUOTA_FILES = {"cgroup2": ("cpu.max",), "cgroup": ("cpu.cfs_quota_us", "cpu.cfs_period_us")}

# (kind, which cgroup lies there, mount point): where cgroups are when the table of mounts cannot be read.
USUAL_MOUNTS = [
    ("cgroup2", "/", "/sys/fs/cgroup"),
    ("cgroup", "/", "/sys/fs/cgroup/cpu"),
    ("cgroup", "/", "/sys/fs/cgroup/cpu,cpuacct"),
]


def allowed_cores() -> int:
    """The cores in the calling thread's CPU affinity, or as many as its CPU quota pays for where that is less.

    A quota is rounded down, but never below 1. With a quota of 1.5 cores, two busy threads spend a period's time in
    three quarters of it, and then the kernel stops both: one thread that is never stopped serves better.
    """
    from pathlib import Path  # here, because it takes a tenth of what importing fastbatch does

    limit = quota(Path("/"))
    return _affinity() if limit is None else min(_affinity(), limit)


def quota(root: Path) -> int | None:
    """Whole cores of the smallest quota from this process's cgroups up to their mounts, at least 1; None for no limit.

    Ancestors count, because the kernel holds a cgroup to the limits of all of them. What cannot be read is no limit.

    Parameters
    ----------
    root : Path
        What stands for ``/``: it holds ``proc/self`` and the mounts.
    """
    return min((cores for kind, folder in _cgroups(root) if (cores := _quota_of(kind, folder))), default=None)


def _affinity() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # macOS and Windows have no such call
        return os.cpu_count() or 1


def _quota_of(kind: str, folder: Path) -> int | None:
    words = " ".join(_read(folder / name) for name in QUOTA_FILES[kind]).split()
    try:
        allowed, period = int(words[0]), int(words[1])
    except (ValueError, IndexError):  # "max"; no such file
        return None
    return max(1, allowed // period) if allowed > 0 and period > 0 else None  # -1 is no limit


def _cgroups(root: Path) -> Iterator[tuple[str, Path]]:
    """The folders of the cgroups that this process is in, for each mount from its top downwards, and their kind."""
    own = _own_cgroups(_read(root / "proc/self/cgroup"))
    for kind, top, point in list(_mounts(_read(root / "proc/self/mountinfo"))) or USUAL_MOUNTS:
        folder = root / point.lstrip("/")
        yield kind, folder
        # In a container the path may be the host's, which means nothing here: then its own cgroup is the top itself.
        for name in _below(own.get(kind, "/"), top):
            folder /= name
            yield kind, folder


def _below(path: str, top: str) -> tuple[str, ...]:
    from pathlib import PurePosixPath

    try:
        names = PurePosixPath(path).relative_to(top).parts
    except ValueError:
        return ()
    return () if ".." in names else names


def _own_cgroups(table: str) -> dict[str, str]:
    """From ``/proc/self/cgroup``: kind -> path of the cgroup that rules this process's CPU time."""
    own = {}
    for line in table.split("\n"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            own["cgroup2"] = path
        elif "cpu" in controllers.split(","):
            own["cgroup"] = path
    return own


def _mounts(table: str) -> Iterator[tuple[str, str, str]]:
    """From ``/proc/self/mountinfo``: (kind, which cgroup lies there, mount point) where CPU quotas may be."""
    for line in table.split("\n"):
        place, _, system = line.partition(" - ")
        places, systems = place.split(" "), system.split(" ")
        if len(places) < 5 or len(systems) < 3:
            continue
        kind, options = systems[0], systems[2].split(",")
        if kind == "cgroup2" or (kind == "cgroup" and "cpu" in options):
            yield kind, _unescaped(places[3]), _unescaped(places[4])


def _unescaped(path: str) -> str:
    """The kernel writes blanks and backslashes in paths as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except (OSError, ValueError):  # ValueError: no path at all
        return ""
