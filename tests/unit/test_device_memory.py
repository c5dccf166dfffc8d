"""What a device can not tell costs no work."""

import sys
from types import SimpleNamespace

import pytest

from worker import device_memory


class NVMLError(Exception):
    """As pynvml's, which has no base but this."""


def test_a_driver_that_can_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def utilization(device: str) -> int:
        raise NVMLError(device)

    cuda = SimpleNamespace(is_initialized=lambda: True, utilization=utilization)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert device_memory.utilization("cuda:0") is None
