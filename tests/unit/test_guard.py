"""What a task does about what it can not go on from."""

import os

import pytest

from jobs.errors import UsageError
from worker.engines import DeviceLost
from worker.tasks import _Guard


@pytest.mark.parametrize(
    ("error", "code"), [(MemoryError(), 77), (DeviceLost("device-side assert"), 78)]
)
def test_the_process_ends(monkeypatch: pytest.MonkeyPatch, error: Exception, code: int) -> None:
    class Ended(BaseException):
        pass

    def end(status: int) -> None:
        raise Ended(status)

    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(Ended) as ended, _Guard():
        raise error
    assert ended.value.args == (code,)


def test_what_the_operator_can_mend_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with _Guard():
        raise UsageError("write it like this")
    assert "write it like this" in caplog.text


def test_a_defect_is_left_to_celery() -> None:
    with pytest.raises(ZeroDivisionError), _Guard():
        raise ZeroDivisionError
