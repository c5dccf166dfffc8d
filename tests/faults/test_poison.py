"""Documents that break what generates them, and a device without room: only the guilty fail."""

import pytest

from tests.faults.engine import BREAKAGES, Breakage
from tests.faults.ground import Ground

# A shard dies once for each batch with poison in it, and three times for each of these alone.
_ALONE = 3


@pytest.mark.short
def test_a_document_that_segfaults(ground: Ground) -> None:
    """A document that segfaults."""
    _only_the_guilty_fail(ground, "segfault", deaths=1 + _ALONE)


def test_a_document_that_hangs(ground: Ground) -> None:
    """A document that hangs, past the deadline of its batch."""
    _only_the_guilty_fail(ground, "hang", deaths=1 + _ALONE)


def test_a_document_that_loses_the_device(ground: Ground) -> None:
    """A document that leaves the device unusable: the child is replaced."""
    _only_the_guilty_fail(ground, "device", deaths=1 + _ALONE)


@pytest.mark.parametrize("breakage", ["memory", "refuse"])
def test_a_document_that_raises(ground: Ground, breakage: Breakage) -> None:
    """A document that raises MemoryError, or another error: it costs no death."""
    _only_the_guilty_fail(ground, breakage, deaths=0)


@pytest.mark.timeout(300)
def test_poison_of_every_kind(ground: Ground) -> None:
    """Poison of every kind, among 200 documents and two workers."""
    places = ground.dice.sample(range(200), len(BREAKAGES))
    bad = dict(zip(places, BREAKAGES, strict=True))
    ground.mill.dispatcher()
    workers = [ground.worker(name, batch_deadline=3) for name in ("left", "right")]
    ground.submit(200, bad, shard_size=32)
    fatal = sum(each in ("segfault", "hang", "device") for each in BREAKAGES)
    ground.settle(patience=240, deaths=fatal * (1 + _ALONE) + 2)
    assert all(worker.poll() is None for worker in workers)
    assert len(ground.children()) <= 2 + fatal * (1 + _ALONE)


def test_nothing_but_poison(ground: Ground) -> None:
    """A job of nothing but poison comes to its end, as failed."""
    ground.mill.dispatcher()
    worker = ground.worker()
    ground.submit(2, {0: "segfault", 1: "segfault"})
    ground.settle(deaths=1 + 2 * _ALONE)
    assert worker.poll() is None


@pytest.mark.short
def test_a_device_without_room_for_a_batch(ground: Ground) -> None:
    """Out of device memory above 3 documents: batches are halved, and the size that fits kept."""
    ground.mill.dispatcher()
    worker = ground.worker(memory=3)
    ground.submit(64, {ground.dice.randrange(64): "memory"}, shard_size=32)
    # What is begun in vain until the size is found in each shard, and around the one document.
    ground.settle(waste=2 * (8 + 4) + 2 * 4)
    assert worker.poll() is None
    assert len(ground.children()) == 1


def _only_the_guilty_fail(ground: Ground, breakage: Breakage, deaths: int) -> None:
    ground.mill.dispatcher()
    worker = ground.worker(batch_deadline=3)
    ground.submit(40, {ground.dice.randrange(40): breakage})
    ground.settle(deaths=max(1, deaths))
    assert worker.poll() is None
    assert len(ground.children()) <= 1 + deaths
