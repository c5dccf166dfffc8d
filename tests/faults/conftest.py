"""Seeds, grounds, and the report at the end.

`FAULTS_SEEDS="1 2 3"` runs every scenario with each seed; unset, those marked `short` with one.
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from jobs import services
from jobs.database import Database
from jobs.services import Endpoints
from jobs.settings import Settings
from tests.conftest import TIMINGS
from tests.faults.ground import Ground, Outcome
from tests.mill import PATIENCE, Mill

_SEEDS = os.environ.get("FAULTS_SEEDS", "")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", [int(word) for word in _SEEDS.split()] or [1])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _SEEDS:
        return
    here = Path(__file__).parent
    long = [item for item in items if here in item.path.parents]
    long = [item for item in long if item.get_closest_marker("short") is None]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


@pytest.fixture
def ground(
    mill: Mill, configured: Settings, tmp_path: Path, seed: int, request: pytest.FixtureRequest
) -> Ground:
    """A ground on the session's servers: nothing runs yet, and the servers are left alone."""
    mill.settings = _settings(configured, request)
    return ground_of(mill, services.connect(mill.settings), tmp_path, seed, request)


@pytest.fixture
def own_ground(tmp_path: Path, seed: int, request: pytest.FixtureRequest) -> Iterator[Ground]:
    """A ground on embedded servers of its own, which may be broken."""
    logs = tmp_path / "logs"
    logs.mkdir()
    with tempfile.TemporaryDirectory(prefix="gm") as home:
        configured = _settings(Settings(home=Path(home), timings=TIMINGS), request)
        held = services.connect(configured)
        database = Database(held.database_url)
        database.migrate()
        database.close()
        mill = Mill(configured, logs)
        try:
            yield ground_of(mill, held, tmp_path, seed, request)
        finally:
            mill.stop()
            request.node.add_report_section("teardown", "mill", mill.logs())
            held.release()
            assert services.wait_stopped(Path(home), PATIENCE)


def _settings(configured: Settings, request: pytest.FixtureRequest) -> Settings:
    """With the waiting times that a scenario's mark `timings` names."""
    mark = request.node.get_closest_marker("timings")
    timings = configured.timings.model_copy(update=mark.kwargs if mark else {})
    return configured.model_copy(update={"timings": timings})


def ground_of(
    mill: Mill, endpoints: Endpoints, folder: Path, seed: int, request: pytest.FixtureRequest
) -> Ground:
    def report(outcome: Outcome) -> None:
        request.node.user_properties.append(("outcome", asdict(outcome)))

    return Ground(mill, endpoints, folder, scenario=_scenario(request), seed=seed, report=report)


def _scenario(request: pytest.FixtureRequest) -> str:
    """What its docstring says first, and what tells it from others of the same test."""
    said = str(request.function.__doc__ or request.node.name).splitlines()[0].rstrip(".")
    called = request.node.callspec
    others = called.id.split("-")
    others.remove(str(called.params["seed"]))
    return f"{said} ({'-'.join(others)})" if others else said


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What each run broke and what became of it, as a table that docs/reliability.md can take."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    found = [value for r in reports for name, value in r.user_properties if name == "outcome"]
    outcomes = {(each["scenario"], each["seed"]): each for each in found}
    if not outcomes:
        return
    names = [field.name for field in fields(Outcome)]
    terminalreporter.section("faults")
    terminalreporter.line("| " + " | ".join(name.replace("_", " ") for name in names) + " |")
    terminalreporter.line("|" + "---|" * len(names))
    for _, outcome in sorted(outcomes.items()):
        terminalreporter.line("| " + " | ".join(_said(outcome[name]) for name in names) + " |")


def _said(value: Any) -> str:
    return "" if value is None else str(value)
