"""Where workers work: on each GPU, or several on one CPU, each with its share of the threads."""

import pytest

from jobs import devices
from jobs.devices import Place
from jobs.errors import UsageError

GIB = 2**30


@pytest.mark.parametrize(
    ("cores", "memory", "expected"),
    [(2, 24, 2), (4, 24, 4), (1, 24, 1), (8, 15, 3), (2, 1, 1), (64, 512, 8)],
)
def test_workers_on_a_cpu(cores: int, memory: int, expected: int) -> None:
    """One for each core, as long as there is memory for it; never none, and never a crowd."""
    assert devices.cpu_workers(cores, memory * GIB) == expected


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "usable_cores", lambda: 8)
    monkeypatch.setattr(devices, "_memory", lambda: 16 * GIB)
    monkeypatch.setattr(devices, "_count_gpus", lambda: 0)


@pytest.mark.usefixtures("eight_cores")
def test_without_a_gpu_several_share_the_cpu() -> None:
    assert devices.places("auto") == [Place(f"cpu-{n}", "cpu", 2) for n in (1, 2, 3, 4)]


@pytest.mark.usefixtures("eight_cores")
def test_a_device_that_is_named_has_one_worker_and_all_threads() -> None:
    assert devices.places("cpu") == [Place("cpu", "cpu", None)]


@pytest.mark.usefixtures("eight_cores")
def test_as_many_as_were_asked_for() -> None:
    assert devices.places("cpu", 1) == [Place("cpu", "cpu", None)]
    assert {place.threads for place in devices.places("cpu", 3)} == {2}
    assert {place.threads for place in devices.places("auto", 20)} == {1}


def test_one_for_each_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_count_gpus", lambda: 2)
    assert devices.places("auto") == [
        Place("cuda:0", "cuda:0", None),
        Place("cuda:1", "cuda:1", None),
    ]
    shared = devices.places("auto", 3)
    assert [place.device for place in shared] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [place.name for place in shared] == ["cuda:0-1", "cuda:1", "cuda:0-2"]
    assert devices.places("cuda:1") == [Place("cuda:1", "cuda:1", None)]


def test_no_device_of_that_name() -> None:
    with pytest.raises(UsageError, match="write auto, cpu, or cuda:N"):
        devices.places("tpu")


def test_threads_that_somebody_chose_stay() -> None:
    place = Place("cpu-1", "cpu", 2)
    assert place.variables({}) == {"OMP_NUM_THREADS": "2"}
    assert place.variables({"OMP_NUM_THREADS": ""}) == {"OMP_NUM_THREADS": "2"}
    assert place.variables({"OMP_NUM_THREADS": "5"}) == {}
    assert Place("cpu", "cpu", None).variables({}) == {}
