"""python -m benchmarks: every case with its contenders in rotation, then results.json, results.md and results.png."""

import argparse
import gc
from pathlib import Path

from benchmarks import (
    bench_balanced,
    bench_cuda,
    bench_engine,
    bench_frameworks,
    bench_lengths,
    bench_loader,
    bench_memory,
    bench_perclass,
    bench_permutation,
    bench_prioritized,
    bench_ragged,
    bench_sequential,
    bench_shuffle,
    bench_state,
    bench_streaming,
    bench_take,
    bench_transforms,
    bench_weighted,
    machine,
    optional,
    report,
)

SUITES = {
    "shuffle": bench_shuffle,
    "permutation": bench_permutation,
    "take": bench_take,
    "loader": bench_loader,
    "sequential": bench_sequential,
    "balanced": bench_balanced,
    "perclass": bench_perclass,
    "weighted": bench_weighted,
    "prioritized": bench_prioritized,
    "lengths": bench_lengths,
    "streaming": bench_streaming,
    "transforms": bench_transforms,
    "ragged": bench_ragged,
    "state": bench_state,
    "memory": bench_memory,
    "engine": bench_engine,
    "cuda": bench_cuda,
    "frameworks": bench_frameworks,
}


def chosen(names):
    """The cases of these suites, or of these names; all of them for no names."""
    cases = [(suite, case) for suite, module in SUITES.items() for case in module.CASES]
    known = set(SUITES) | {case.name for _, case in cases}
    unknown = sorted(set(names) - known)
    if unknown:
        raise SystemExit(f"no suite or case is called {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
    return [case for suite, case in cases if not names or suite in names or case.name in names]


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these suites or cases")
    parser.add_argument("--quick", action="store_true", help="a hundredth of the sizes: a smoke test, not a result")
    parser.add_argument("--out", type=Path, help="folder for the results (default: this one, for a complete run)")
    options = parser.parse_args()

    cases = chosen(options.only)
    facts = machine.describe()
    for key, value in facts.items():
        print(f"{key.replace('_', ' '):>24}  {value}")
    records = []
    for case in cases:
        print(f"\n{case.name}: {case.work}", flush=True)
        for contender in filter(optional.missing, case.contenders):
            print(f"  {contender.__name__:<30} left out: {optional.missing(contender)} is not installed")
        case = optional.installed(case)
        if not case.contenders:
            continue
        records.append(report.record(case, case.run(quick=options.quick)))
        gc.collect()
        for name, figures in records[-1]["contenders"].items():
            print(f"  {name:<30}{report.amount(figures['median'], case.quantity):>10} per {case.unit}")
        for goal in records[-1]["goals"]:
            rival = f" against {goal['against']}" if goal["against"] else ""
            verdict = "reached" if goal["met"] else "NOT REACHED"
            print(f"  {goal['shown']}{rival}, asked {goal['asked']}: {verdict}", flush=True)

    # A partial run must not replace published results by accident.
    folder = options.out or (None if options.only or options.quick else Path(__file__).parent)
    print(f"\n{report.goal_table(records)}")
    if folder:
        report.write(folder, {**facts, "sizes": "a hundredth" if options.quick else "as asked"}, records)


if __name__ == "__main__":
    main()
