"""Without the packages that run models: said at once, by whoever needs them."""

import sys

import pytest

from jobs.errors import UsageError
from worker import cli


def test_a_worker_without_torch_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    # Where it is not refused, the worker stops at this and starts nothing.
    monkeypatch.setenv("GISTMILL_DATABASE_URL", "nonsense")
    with pytest.raises(UsageError, match=r"a worker needs torch; pip install 'gistmill\[worker\]'"):
        cli.command.main(["--device", "cpu"], standalone_mode=False)
