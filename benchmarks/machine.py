"""What the figures were measured on. No names of hosts, users or folders: results are published."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmarks import optional, roofline

# Packages that contenders come from, and that need not be installed.
PEERS = (
    "imbalanced-learn",
    "pytorch-metric-learning",
    "grain",
    "spdl",
    "tensorflow-cpu",
    "torchrl",
    "lightning",
    "transformers",
)


def describe():
    """Words for the processor, the memory and every version that matters."""
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "huge_pages": huge_pages(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "torch": version("torch"),
        **{name.replace("-", "_"): optional.version_of(name) or "not installed" for name in PEERS},
        "fastbatch": version("fastbatch"),
        "compiler": compiler(),
    }


def cpu_model():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        facts = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        facts = {key.strip(): value.strip() for key, value in facts.items()}
        if "model name" in facts:
            return f"{facts['model name']} (family {facts.get('cpu family')}, model {facts.get('model')})"
    return platform.processor() or platform.machine()


def huge_pages():
    """The kernel's choice, which decides much of what random access costs: NumPy asks for them from 4 MB on."""
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not setting.exists():
        return "unknown"
    text = setting.read_text()
    return text[text.index("[") + 1 : text.index("]")]


def compiler():
    answer = subprocess.run([roofline.COMPILER, "--version"], capture_output=True, text=True, check=True)
    return f"{answer.stdout.splitlines()[0]}, {' '.join(roofline.FLAGS)}"
