"""pytest-benchmark over the same cases: `pytest benchmarks --benchmark-only`."""

import pytest

from benchmarks import optional
from benchmarks.measure import play


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="a hundredth of the published sizes: a smoke test")


def pytest_generate_tests(metafunc):
    if "contender" in metafunc.fixturenames:
        cases = map(optional.installed, metafunc.module.CASES)
        pairs = [(case, contender) for case in cases for contender in case.contenders]
        # Of module scope, so that a stage of 2 GB is built once for its contenders and gone before the next one.
        metafunc.parametrize(
            ("stage", "contender"),
            pairs,
            indirect=["stage"],
            scope="module",
            ids=[f"{case.name}-{contender.__name__}" for case, contender in pairs],
        )


@pytest.fixture(scope="module")
def stage(request):
    case = request.param
    stage = case.stage(0.01 if request.config.getoption("--quick") else 1)
    stage.case_name = case.name
    return stage


@pytest.fixture
def timed(benchmark):
    """Checks a contender, then times it alone: pytest-benchmark knows no rotation (`python -m benchmarks` does)."""

    def run(stage, contender):
        def fresh():
            stage.refresh(contender)
            return (contender, stage), {}

        stage.check(contender)
        benchmark.group = stage.case_name
        benchmark.extra_info["units"] = stage.units * stage.calls
        benchmark.pedantic(play, setup=fresh, rounds=5, warmup_rounds=1)

    return run
