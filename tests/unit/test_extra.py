"""Without the packages that run models: said at once, by whoever needs them."""

import sys

import pytest

from jobs.errors import UsageError
from producer.cli import serve
from worker import cli


def test_a_worker_without_torch_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    # Where it is not refused, the worker stops at this and starts nothing.
    monkeypatch.setenv("GISTMILL_DATABASE_URL", "nonsense")
    with pytest.raises(UsageError, match=r"a worker needs torch; pip install 'gistmill\[worker\]'"):
        cli.command.main(["--device", "cpu"], standalone_mode=False)


@pytest.mark.parametrize("name", ["fastapi", "itsdangerous", "nicegui"])
def test_a_server_without_its_packages_refuses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And `up`, which asks the same, begins without it: its exit code 2 would end the workers."""
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("GISTMILL_DATABASE_URL", "nonsense")
    with pytest.raises(UsageError, match=rf"{name} is missing; pip install 'gistmill\[serve\]'"):
        serve.command.main([], standalone_mode=False)
