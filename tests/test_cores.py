"""Allowed cores: the CPU affinity, and quotas in file trees like those of machines, containers and broken systems."""

import os

import pytest

import fastbatch.cores
from fastbatch.cores import allowed_cores, quota

V2 = "30 23 0:26 {top} {point} rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "33 24 0:29 {top} {point} rw,nosuid,nodev,noexec,relatime - cgroup cgroup rw,{controllers}\n"
OTHERS = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n23 22 0:21 / /proc rw - proc proc rw\n"


def machine(tmp_path, files, cgroup=None, mountinfo=None):
    """A tree with what the kernel would show; None leaves a file out."""
    tables = {"proc/self/cgroup": cgroup, "proc/self/mountinfo": mountinfo and OTHERS + mountinfo}
    for path, text in {**tables, **files}.items():
        if text is not None:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
    return tmp_path


def v2(tmp_path, limits, own="/", top="/", point="/sys/fs/cgroup"):
    """A machine with cgroup v2; `limits` are of folders below the mount."""
    files = {f"sys/fs/cgroup{folder}/cpu.max": text for folder, text in limits.items()}
    return machine(tmp_path, files, f"0::{own}\n", V2.format(top=top, point=point))


def v1(tmp_path, limits, own="/", top="/", point="/sys/fs/cgroup/cpu,cpuacct", controllers="cpu,cpuacct"):
    """A machine with cgroup v1; `limits` are quotas and periods of folders below the mount."""
    files = {}
    for folder, (allowed, period) in limits.items():
        files[f"{point[1:]}{folder}/cpu.cfs_quota_us"] = allowed
        files[f"{point[1:]}{folder}/cpu.cfs_period_us"] = period
    cgroup = f"9:memory:/elsewhere\n4:{controllers}:{own}\n2:cpuset:/elsewhere\n1:name=systemd:/user.slice\n"
    mountinfo = V1.format(top="/", point="/sys/fs/cgroup/cpuset", controllers="cpuset")
    return machine(tmp_path, files, cgroup, mountinfo + V1.format(top=top, point=point, controllers=controllers))


# ---------------------------------------------------------------------------------------------------------------------
# cgroup v2
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max 100000\n", None),
        ("400000 100000\n", 4),
        ("199999 100000\n", 1),
        ("150000 100000\n", 1),
        ("200000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1000 1000000\n", 1),
        ("7000 1000\n", 7),
        ("400000 100000 20000\n", 4),
    ],
)
def test_a_quota_counts_whole_cores_and_at_least_one(tmp_path, text, expected):
    assert quota(v2(tmp_path, {"": text})) == expected


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"/a.slice/b.service": "300000 100000"}, 3),
        ({"/a.slice": "300000 100000"}, 3),
        ({"": "300000 100000"}, 3),
        ({"": "max 100000", "/a.slice": "200000 100000", "/a.slice/b.service": "max 100000"}, 2),
        ({"": "900000 100000", "/a.slice": "200000 100000", "/a.slice/b.service": "500000 100000"}, 2),
        ({"": "900000 100000", "/a.slice": "600000 100000", "/a.slice/b.service": "50000 10000"}, 5),
        ({"/a.slice/other": "100000 100000", "/a.slice/b.service/below": "100000 100000"}, None),
    ],
    ids=["own", "parent", "root", "only the parent", "least is the parent", "least is its own", "relatives"],
)
def test_the_least_quota_from_a_cgroup_up_to_the_mount_counts(tmp_path, limits, expected):
    assert quota(v2(tmp_path, limits, own="/a.slice/b.service")) == expected


@pytest.mark.skipif(os.name == "nt", reason="a backslash separates folders")
def test_a_v2_mount_may_be_anywhere(tmp_path):
    point = "/run/my\\040groups\\134x"
    files = {"run/my groups\\x/job/cpu.max": "200000 100000"}
    assert quota(machine(tmp_path, files, "0::/job\n", V2.format(top="/", point=point))) == 2


# ---------------------------------------------------------------------------------------------------------------------
# cgroup v1, and both
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "period", "expected"),
    [
        ("-1\n", "100000\n", None),
        ("300000\n", "100000\n", 3),
        ("150000\n", "100000\n", 1),
        ("25000\n", "50000\n", 1),
        ("20000\n", "10000\n", 2),
    ],
)
@pytest.mark.parametrize("controllers", ["cpu", "cpu,cpuacct", "cpuacct,cpu"])
def test_a_v1_quota_is_in_two_files(tmp_path, allowed, period, expected, controllers):
    assert quota(v1(tmp_path, {"": (allowed, period)}, controllers=controllers)) == expected


def test_v1_ancestors_count(tmp_path):
    limits = {"": ("-1", "100000"), "/batch": ("200000", "100000"), "/batch/job": ("-1", "100000")}
    assert quota(v1(tmp_path, limits, own="/batch/job")) == 2


def test_other_controllers_of_v1_do_not_count(tmp_path):
    root = v1(tmp_path, {"": ("-1", "100000")})
    for name, text in [("cpu.cfs_quota_us", "100000"), ("cpu.cfs_period_us", "100000")]:
        machine(root, {f"sys/fs/cgroup/cpuset/{name}": text, f"sys/fs/cgroup/cpu,cpuacct/elsewhere/{name}": text})
    assert quota(root) is None


@pytest.mark.parametrize(
    ("old", "new", "expected"), [("300000", None, 3), ("-1", None, None), ("-1", "200000 100000", 2)]
)
def test_where_both_are_mounted_the_one_with_the_quota_counts(tmp_path, old, new, expected):
    """A controller belongs to one of the two; v2 then has no ``cpu.max``, or v1 no ``cpu`` mount."""
    files = {
        "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": old,
        "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/unified/user.slice/cpu.max": new,
    }
    cgroup = "2:cpu:/job\n1:name=systemd:/user.slice\n0::/user.slice\n"
    mountinfo = V1.format(top="/", point="/sys/fs/cgroup/cpu", controllers="cpu")
    mountinfo += V2.format(top="/", point="/sys/fs/cgroup/unified")
    assert quota(machine(tmp_path, files, cgroup, mountinfo)) == expected


# ---------------------------------------------------------------------------------------------------------------------
# Containers
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", ["/", "/docker/0123abcd", "/../../host.slice/b", "/kubepods/pod1/0123 (deleted)"])
def test_a_path_that_means_nothing_in_a_container_leaves_the_mounts_own_quota(tmp_path, own):
    (tmp_path / "v1").mkdir()
    (tmp_path / "v2").mkdir()
    assert quota(v2(tmp_path / "v2", {"": "200000 100000"}, own=own)) == 2
    assert quota(v1(tmp_path / "v1", {"": ("200000", "100000")}, own=own)) == 2


@pytest.mark.parametrize(("own", "expected"), [("/docker/0123abcd", 3), ("/docker/0123abcd/job", 2), ("/other", 3)])
def test_a_mount_of_a_part_of_the_tree_begins_there(tmp_path, own, expected):
    """Docker without a cgroup namespace: the container's cgroup is mounted, and its path is the host's."""
    limits = {"": ("300000", "100000"), "/job": ("200000", "100000"), "/docker/0123abcd": ("100000", "100000")}
    assert quota(v1(tmp_path, limits, own=own, top="/docker/0123abcd")) == expected


def test_dots_lead_nowhere(tmp_path):
    root = v2(tmp_path, {"": "max 100000"}, own="/../outside")
    machine(root, {"sys/fs/outside/cpu.max": "100000 100000"})
    assert quota(root) is None


# ---------------------------------------------------------------------------------------------------------------------
# What is missing or makes no sense
# ---------------------------------------------------------------------------------------------------------------------


def test_no_files_are_no_limit(tmp_path):
    assert quota(tmp_path) is None
    assert quota(tmp_path / "nowhere") is None
    assert quota(v2(tmp_path, {}, own="/job")) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "max",
        "400000",
        "100000 max",
        "x y",
        "1e5 1e5",
        "100000 0",
        "0 100000",
        "-5 100000",
        "100000 -1",
        "9" * 9000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_quotas_that_make_no_sense_are_no_limit(tmp_path, text):
    assert quota(v2(tmp_path, {"": text, "/a": text}, own="/a")) is None
    assert quota(v2(tmp_path, {"": text, "/a": "200000 100000"}, own="/a")) == 2


@pytest.mark.parametrize("missing", ["cpu.cfs_quota_us", "cpu.cfs_period_us"])
def test_half_a_quota_is_no_limit(tmp_path, missing):
    root = v1(tmp_path, {"": ("100000", "100000")})
    (root / "sys/fs/cgroup/cpu,cpuacct" / missing).unlink()
    assert quota(root) is None


@pytest.mark.parametrize(
    "table",
    [
        "",
        "\n\n",
        "junk",
        ":::\n",
        "0:\n0::\n",
        "0::job\n",
        "a b c d e f - cgroup2 x y\n" * 3,
        "0::/\0\n",
        " - \n - - -\n",
    ],
)
def test_tables_that_make_no_sense_do_no_harm(tmp_path, table):
    root = v2(tmp_path, {"": "200000 100000"})
    assert quota(machine(root, {"proc/self/cgroup": table})) == 2
    machine(root, {"proc/self/mountinfo": table, "proc/self/cgroup": table})
    assert quota(root) in (2, None)


def test_tables_need_not_be_text(tmp_path):
    root = v2(tmp_path, {"/job": "200000 100000"}, own="/job")
    for table in ("cgroup", "mountinfo"):
        path = root / "proc/self" / table
        path.write_bytes(b"\xff\xfe\0 \x80\n" + path.read_bytes())
    assert quota(root) == 2
    (root / "sys/fs/cgroup/job/cpu.max").write_bytes(b"\xff\xfe 1")
    assert quota(root) is None


def test_folders_in_the_place_of_files_do_no_harm(tmp_path):
    for path in ("proc/self/cgroup", "proc/self/mountinfo", "sys/fs/cgroup/cpu.max"):
        (tmp_path / path).mkdir(parents=True)
    assert quota(tmp_path) is None


@pytest.mark.parametrize(
    "files",
    [
        {"sys/fs/cgroup/cpu.max": "200000 100000"},
        {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
        {
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
    ],
    ids=["v2", "v1", "v1 with accounting"],
)
@pytest.mark.parametrize("mountinfo", [None, ""])
def test_cgroups_that_no_table_names_are_looked_for_in_the_usual_places(tmp_path, files, mountinfo):
    assert quota(machine(tmp_path, files, mountinfo=mountinfo)) == 2


# ---------------------------------------------------------------------------------------------------------------------
# Affinity
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "expected"), [(None, 3), (1, 1), (2, 2), (3, 3), (64, 3)])
def test_the_smaller_of_affinity_and_quota(monkeypatch, limit, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {4, 5, 9}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(fastbatch.cores, "quota", lambda root: limit)
    assert allowed_cores() == expected


@pytest.mark.parametrize(("count", "expected"), [(16, 16), (None, 1)])
@pytest.mark.parametrize("failing", [False, True])
def test_without_affinity_all_cores_are_allowed(monkeypatch, count, expected, failing):
    def sched_getaffinity(pid):
        raise OSError("no such call")

    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    if failing:
        monkeypatch.setattr(os, "sched_getaffinity", sched_getaffinity, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    monkeypatch.setattr(fastbatch.cores, "quota", lambda root: None)
    assert allowed_cores() == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_the_affinity_of_this_moment_counts():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert allowed_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert 1 <= allowed_cores() <= len(before)
