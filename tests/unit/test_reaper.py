"""The step that looks twice a second whether the pool child has died."""

from unittest.mock import Mock

from worker.reaper import Reaper


def test_it_looks_after_each_connection_with_one_timer() -> None:
    worker, hub = Mock(), Mock()
    first, second = Mock(), Mock()
    hub.call_repeatedly.side_effect = [first, second]
    reaper = Reaper(worker)
    reaper.register_with_event_loop(worker, hub)
    hub.call_repeatedly.assert_called_once_with(0.5, worker.pool.maintain_pool)
    first.cancel.assert_not_called()
    reaper.register_with_event_loop(worker, hub)
    first.cancel.assert_called_once_with()
    second.cancel.assert_not_called()
