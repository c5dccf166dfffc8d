"""Where settings come from, which of two wins, and what is said of one that is wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs import settings
from jobs.errors import UsageError
from jobs.settings import Settings, Timings, WorkerProcess

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and no variable that this machine is set by."""
    for name in (*Settings.model_fields, "config"):
        monkeypatch.delenv(f"GISTMILL_{name.upper()}", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Write:
    """Write gistmill.toml in the current folder."""

    def written(text: str) -> Path:
        path = folder / "gistmill.toml"
        path.write_text(text)
        return path

    return written


def test_defaults(folder: Path) -> None:
    assert settings.load() == Settings(home=folder / "data" / "gistmill")
    assert settings.origin("home") == "default"
    assert settings.file() is None


def test_the_file(folder: Path, write: Write) -> None:
    path = write('home = "mill"\nbroker_url = "redis://host/0"\n[timings]\nlease = 5\n')
    loaded = settings.load()
    assert loaded.home == folder / "mill"
    assert loaded.broker_url == "redis://host/0"
    assert loaded.database_url is None
    assert loaded.timings == Timings(lease=5)
    for key in (["home"], ["broker_url"], ["timings", "lease"]):
        assert settings.origin(*key) == str(path)
    for key in (["database_url"], ["timings", "slice"]):
        assert settings.origin(*key) == "default"


def test_the_environment_comes_over_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write('home = "mill"\nbroker_url = "redis://a"\n[timings]\nlease = 5\nslice = 6\n')
    monkeypatch.setenv("GISTMILL_BROKER_URL", "redis://b")
    monkeypatch.setenv("GISTMILL_TIMINGS", '{"lease": 7}')
    loaded = settings.load()
    assert loaded.broker_url == "redis://b"
    assert loaded.timings == Timings(lease=7, slice=6)
    assert settings.origin("broker_url") == "GISTMILL_BROKER_URL"
    assert settings.origin("timings", "lease") == "GISTMILL_TIMINGS"
    assert settings.origin("timings", "slice") == str(path)


def test_an_empty_variable_means_unset(
    folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('home = "mill"\nbroker_url = "redis://a"\n')
    monkeypatch.setenv("GISTMILL_BROKER_URL", "")
    monkeypatch.setenv("GISTMILL_HOME", "")
    assert settings.load() == Settings(home=folder / "data" / "gistmill", broker_url=None)


def test_a_named_file(folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes in the place of the one in the current folder; its home is beside itself."""
    write('broker_url = "redis://here"\n')
    other = folder / "elsewhere" / "night.toml"
    other.parent.mkdir()
    other.write_text('home = "mill"\n')
    monkeypatch.setenv("GISTMILL_CONFIG", "elsewhere/night.toml")
    loaded = settings.load()
    assert loaded.home == other.parent / "mill"
    assert loaded.broker_url is None
    monkeypatch.setenv("GISTMILL_CONFIG", "")
    assert settings.load().broker_url is None, "set to nothing, no file"


def test_a_named_file_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GISTMILL_CONFIG", "nowhere.toml")
    with pytest.raises(UsageError, match=r"GISTMILL_CONFIG.*nowhere\.toml"):
        settings.load()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('broker-url = "redis://a"', "no setting 'broker-url'; do you mean 'broker_url'?"),
        ("colour = 1", "no setting 'colour'; there are: home, database_url, broker_url, url, "),
        ("log_format = 'xml'", "log_format: Input should be 'auto', 'console' or 'json' (got "),
        ("[timings]\nlaese = 5", "no timing 'laese'; do you mean 'lease'?"),
        ("[timings]\nlease = -5", "timings.lease: Input should be greater than 0 (got -5)"),
        ("timings = 5", "timings: Input should be a valid dictionary"),
        ("broker_url = 5", "broker_url: Input should be a valid string"),
        ("allow_insecure = 5", "allow_insecure: Input should be a valid boolean"),
        ('allowed_sources = ["data"]', "'data' is neither an absolute folder nor a URL"),
        ('allowed_sources = ["file:///data"]', "neither an absolute folder nor a URL with a host"),
        ('allowed_sources = ["https://me:s3c@host/"]', "'https://…host/' is neither"),
        ('allowed_sources = ["s3://corpus/a/../b"]', "neither an absolute folder nor a URL"),
        ('allowed_sources = ["s3://corpus/?a"]', "without user name, query, .."),
        ("home = 5", "home: Input is not a valid path"),
        ("home = \n", "is not TOML: Invalid value (at line 1"),
    ],
)
def test_one_line_for_a_bad_file(write: Write, text: str, says: str) -> None:
    path = write(text)
    with pytest.raises(UsageError) as caught:
        settings.load()
    [line] = str(caught.value).splitlines()
    assert line.startswith(str(path))
    assert says in line
    assert "s3c" not in line


def test_a_file_that_is_not_utf8(folder: Path) -> None:
    (folder / "gistmill.toml").write_bytes(b'home = "\xff"\n')
    with pytest.raises(UsageError, match=r"gistmill\.toml is not TOML.*utf-8"):
        settings.load()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("lease=5", "is not JSON"),
        ("", "is not JSON"),
        ("5", "timings: Input should be a valid dictionary"),
        ('{"laese": 5}', "do you mean 'lease'?"),
        ('{"lease": 0}', "timings.lease: Input should be greater than 0"),
    ],
)
def test_one_line_for_a_bad_variable(
    monkeypatch: pytest.MonkeyPatch, value: str, says: str
) -> None:
    monkeypatch.setenv("GISTMILL_TIMINGS", value)
    with pytest.raises(UsageError) as caught:
        settings.load()
    [line] = str(caught.value).splitlines()
    assert line.startswith("GISTMILL_TIMINGS")
    assert says in line


def test_a_list_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GISTMILL_ALLOWED_SOURCES", '["/data", "s3://corpus/"]')
    assert settings.load().allowed_sources == ("/data", "s3://corpus/")
    monkeypatch.setenv("GISTMILL_ALLOWED_SOURCES", "[]")
    assert settings.load().allowed_sources == ()
    monkeypatch.setenv("GISTMILL_ALLOWED_SOURCES", "")
    assert settings.load().allowed_sources is None
    monkeypatch.setenv("GISTMILL_ALLOWED_SOURCES", "/data")
    with pytest.raises(UsageError, match=r"GISTMILL_ALLOWED_SOURCES: .*not JSON; write it as"):
        settings.load()


@pytest.mark.parametrize(
    "more",
    [{}, {"allow_insecure": True, "allowed_sources": ("/data",)}, {"allowed_sources": ()}],
)
def test_children_get_exactly_these(
    write: Write, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    """What is unset here is unset there, whatever the current folder's file says."""
    given = Settings(home=Path("/mill"), log_format="json", timings=Timings(lease=5), **more)
    assert hash(given), "clients are kept by their settings"
    for name, value in settings.child_environment(given).items():
        monkeypatch.setenv(name, value)
    write('home = "other"\ndatabase_url = "postgresql://other"\n[timings]\nslice = 6\nbad = 1\n')
    assert settings.load() == given


def test_pool_children_get_exactly_these(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the file is edited, or breaks, while the worker runs."""
    monkeypatch.setattr("os.environ", {"GISTMILL_WORKER_DEVICE": "cuda:1"})
    given = Settings(home=Path("/mill"), broker_url="redis://host")
    process = WorkerProcess(name="host-cpu", device="cpu", drain_file=Path("/drain"))
    settings.tell_children(given, process)
    write("broken")
    assert settings.load() == given
    assert WorkerProcess() == process


def test_flags_of_a_command(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write('[submit]\nmodel = "lead-3"\nshard-size = 64\n')
    monkeypatch.setenv("GISTMILL_SUBMIT_SHARD_SIZE", "32")
    monkeypatch.setenv("GISTMILL_SUBMIT_SERVICE_HOST", "10.0.0.1")  # Kubernetes does
    found = settings.flags("submit", ["model", "shard-size", "name"])
    assert {flag: (given.value, given.place) for flag, given in found.items()} == {
        "model": ("lead-3", f"{path}: [submit]"),
        "shard-size": ("32", "GISTMILL_SUBMIT_SHARD_SIZE"),
    }
    monkeypatch.setenv("GISTMILL_LS_LIMIT", "3")
    assert settings.commands(["status", "ls", "submit"]) == ["ls", "submit"]


def test_an_unknown_flag_and_an_unknown_table(write: Write) -> None:
    write("[submit]\nshard_size = 64\n")
    with pytest.raises(UsageError, match=r"\[submit\]: no flag 'shard_size'.*'shard-size'"):
        settings.flags("submit", ["model", "shard-size"])
    write("[timing]\nlease = 5\n")
    with pytest.raises(UsageError, match=r"no table 'timing'; do you mean 'timings'\?"):
        settings.commands(["submit"])
