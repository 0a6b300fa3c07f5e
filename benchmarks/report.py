"""From measured values to results.json, results.md and results.png."""

import json
from pathlib import Path

from benchmarks.measure import Faster, Within, medians

SCALES = {"s": (("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0)), "B": (("B", 1.0),)}


def amount(value, quantity):
    """Three figures and a unit: 0.0000002 s -> '200 ns'."""
    name, scale = next((s for s in reversed(SCALES[quantity]) if value >= s[1]), SCALES[quantity][0])
    shown = value / scale
    return f"{shown:.0f} {name}" if shown >= 100 else f"{shown:.3g} {name}"


def verdicts(case, values):
    """One entry per goal of the case."""
    middle = medians(values)
    for goal in case.goals:
        rival = min((f.__name__ for f in goal.than), key=middle.get, default=None)
        reached = goal.reached(middle)
        yield {
            "work": case.work + (", order given" if "given_order" in goal.contender.__name__ else ""),
            "contender": goal.contender.__name__,
            "against": rival,
            "time": amount(middle[goal.contender.__name__], case.quantity),
            "time_against": rival and amount(middle[rival], case.quantity),
            "reached": reached,
            "shown": f"{reached:.2f}x" if rival else amount(reached, case.quantity),
            "asked": goal.asked,
            "limit": goal.times if rival else goal.limit,
            "kind": type(goal).__name__.lower(),
            "met": goal.met(reached),
        }


def record(case, values):
    """All that is known about a case, ready for JSON."""
    return {
        "name": case.name,
        "work": case.work,
        "unit": case.unit,
        "quantity": case.quantity,
        "contenders": {
            name: {"median": middle, "fewest": min(values[name]), "repeats": values[name]}
            for name, middle in medians(values).items()
        },
        "goals": list(verdicts(case, values)),
    }


def table(head, rows):
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in cells)


def goal_table(records):
    """work, both times per unit, what was reached and asked."""
    return table(
        ["work", "against", "its time", "fastbatch", "per", "reached", "asked", ""],
        [
            [
                goal["work"],
                goal["against"] or "",
                goal["time_against"] or "",
                goal["time"],
                entry["unit"],
                goal["shown"],
                goal["asked"],
                "yes" if goal["met"] else "**no**",
            ]
            for entry in records
            for goal in entry["goals"]
        ],
    )


def contender_table(records):
    """Every contender's median, also of those that no goal speaks of."""
    return table(
        ["work", "contender", "median", "best", "per", "repeats"],
        [
            [
                entry["work"],
                name,
                amount(figures["median"], entry["quantity"]),
                amount(figures["fewest"], entry["quantity"]),
                entry["unit"],
                len(figures["repeats"]),
            ]
            for entry in records
            for name, figures in entry["contenders"].items()
        ],
    )


def write(folder, machine, records):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps({"machine": machine, "cases": records}, indent=1) + "\n")
    (folder / "results.md").write_text(
        "# Benchmark results\n\nWritten by `python -m benchmarks`: medians of interleaved repeats; one core,\n"
        "but for the cases of `bench_engine.py` and for loaders that bring threads or processes of their own.\n\n"
        + "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in machine.items())
        + f"\n\n## Asked and reached\n\n{goal_table(records)}\n\n## Every contender\n\n{contender_table(records)}\n"
    )
    draw(folder / "results.png", machine, records)


def draw(path, machine, records):
    """Two panels: how many times faster than what people use, and how near to bare C."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    goals = [goal for entry in records for goal in entry["goals"]]
    faster = [goal for goal in goals if goal["kind"] == Faster.__name__.lower()]
    within = [goal for goal in goals if goal["kind"] == Within.__name__.lower()]
    panels = [
        (faster, "times faster than ...", "log", "#2a6f97"),
        (within, "time of what sets the limit = 1", "linear", "#b08968"),
    ]
    panels = [panel for panel in panels if panel[0]]
    if not panels:
        return
    heights = [len(panel[0]) + 1.5 for panel in panels]
    figure, axes = plt.subplots(
        len(panels), 1, figsize=(9, 0.3 * sum(heights) + 0.6), height_ratios=heights, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axis, (bars, title, scale, colour) in zip(axes[:, 0], panels, strict=True):
        places = range(len(bars))
        axis.barh(places, [bar["reached"] for bar in bars], color=colour, height=0.66)
        axis.plot([bar["limit"] for bar in bars], places, "|", color="black", markersize=13, label="asked")
        for place, bar in zip(places, bars, strict=True):
            end = max(bar["reached"], bar["limit"])
            axis.annotate(bar["shown"], (end, place), (6, 0), textcoords="offset points", va="center", fontsize=9)
        axis.set_yticks(places, [f"{bar['work']}\nvs {bar['against']}" for bar in bars], fontsize=7.5)
        axis.set_xscale(scale)
        axis.set_xlim(1 if scale == "log" else 0, max(max(bar["reached"], bar["limit"]) for bar in bars) * 1.25)
        axis.xaxis.set_major_formatter("{x:g}x")
        axis.set_title(title, fontsize=10, loc="left")
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(loc="lower right", frameon=False, fontsize=8)
    versions = ", ".join(f"{name} {machine[name]}" for name in ("fastbatch", "numpy", "torch", "python"))
    figure.suptitle(f"fastbatch on {machine['cpu']}\n{versions}", fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)
