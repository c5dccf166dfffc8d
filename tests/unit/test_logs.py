"""What the two forms of a log look like, whoever wrote the event, and what is kept out of them."""

import errno
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import Mock

import pytest
from celery.exceptions import WorkerLostError
from celery.worker.consumer import consumer

from jobs import logs
from jobs.errors import BrokerUnreachable
from jobs.logs import Form
from jobs.one_log import OneLog
from worker import celery_words, exit_codes

log = logs.get("test")
foreign = logging.getLogger("celery.test")


class Written:
    """What the loggers wrote in one form."""

    def __init__(self, form: Form) -> None:
        self._out = io.StringIO()
        self.handler = logging.StreamHandler(self._out)
        self.handler.setFormatter(logs.formatter(form, {"worker": "w"}))

    def line(self) -> str:
        [line] = self.lines()
        return line

    def lines(self) -> list[str]:
        assert self._out.getvalue().endswith("\n")
        return self._out.getvalue().splitlines()

    def event(self) -> dict[str, Any]:
        event = json.loads(self.line())
        assert isinstance(event, dict)
        return event


@pytest.fixture
def written(request: pytest.FixtureRequest) -> Iterator[Written]:
    """In JSON, or as a test is parametrized."""
    into = Written(getattr(request, "param", "json"))
    loggers = [logging.getLogger(name) for name in ("gistmill", "celery.test", "py.warnings")]
    for logger in loggers:
        logger.addHandler(into.handler)
    loggers[0].setLevel(logging.INFO)
    yield into
    loggers[0].setLevel(logging.NOTSET)
    for logger in loggers:
        logger.removeHandler(into.handler)
    logs.about_nothing()


console = pytest.mark.parametrize("written", ["console"], indirect=True)
both = pytest.mark.parametrize("written", ["console", "json"], indirect=True)


def test_an_event_of_ours(written: Written) -> None:
    with logs.about(job="job_x", shard=3, attempt=2):
        log.info("shard is done", documents=256, seconds=1.5)
    event = written.event()
    assert len(event.pop("time")) == len("2026-01-31T12:00:00.000Z")
    assert list(event.items()) == [
        ("level", "info"),
        ("logger", "gistmill.test"),
        ("event", "shard is done"),
        *[("worker", "w"), ("job", "job_x"), ("shard", 3), ("attempt", 2)],
        *[("documents", 256), ("seconds", 1.5)],
    ]


@console
def test_an_event_of_ours_for_people(written: Written) -> None:
    with logs.about(job="job_x"):
        log.warning("could not be done", error=BrokerUnreachable("no Redis"))
    assert written.line()[8:] == " [warning  ] could not be done job=job_x error='no Redis'"


def test_a_librarys_event(written: Written) -> None:
    """Its arguments are in it, and what the thread is about."""
    with logs.about(job="job_x"):
        foreign.warning("lost %s of %d", "one", 2)
    event = written.event()
    assert (event["event"], event["level"]) == ("lost one of 2", "warning")
    assert (event["logger"], event["job"]) == ("celery.test", "job_x")


def test_a_warning(written: Written) -> None:
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old\nand tired", DeprecationWarning, stacklevel=1)
    finally:
        logging.captureWarnings(False)
    assert "DeprecationWarning: old and tired" in written.event()["event"]


def test_an_exception(written: Written) -> None:
    try:
        _fail("what a\nday")
    except ValueError:
        foreign.exception("a defect")
    raised = written.event()["exception"]
    assert raised.startswith("Traceback")
    assert raised.endswith("ValueError: what a\nday")


@console
def test_an_exception_for_people(written: Written) -> None:
    try:
        _fail("what a day")
    except ValueError:
        log.exception("a defect")
    assert written.lines()[0].endswith(" a defect")
    assert written.lines()[-1] == "ValueError: what a day"


@both
@pytest.mark.parametrize(
    "text", ["übel", "zwei\nZeilen", "\u2028\x85", "\x1b[2J", "\udc80", '"{}"\r']
)
def test_one_line(written: Written, text: str) -> None:
    log.info(f"said: {text}", also=text)
    assert written.line().count("said:") == 1
    assert written.line().isprintable()


def test_nothing_is_lost_in_json(written: Written) -> None:
    log.info("übel", also="zwei\nZeilen \u2028", path=[1, None, {"a": True}])
    event = written.event()
    assert (event["event"], event["also"]) == ("übel", "zwei\nZeilen \u2028")
    assert event["path"] == [1, None, {"a": True}]


@both
@pytest.mark.parametrize(
    "url",
    ["redis://:secret@host/0", "postgresql://me:se@secret@host/db", "amqp://u:secret%40@[::1]:1/"],
)
def test_no_password(written: Written, url: str) -> None:
    """In whatever part of an event, an exception's text among them."""
    try:
        _fail(f"cannot connect to {url}: no")
    except ValueError:
        log.exception(f"to {url}", url=url, urls=[{"a": url}], error=ConnectionError(url))
    text = "\n".join(written.lines())
    assert "secret" not in text
    assert text.count(":***@") >= 5


def test_a_password_in_a_query() -> None:
    told = logs.without_passwords("to postgresql://me@host/db?password=secret&sslmode=require: no")
    assert told == "to postgresql://me@host/db?password=***&sslmode=require: no"


def test_only_passwords_go() -> None:
    for text in ("http://host:80/a?b=c", "a@b", "job_x: 1 of 2", "redis://host/0"):
        assert logs.without_passwords(text) == text


def test_about_ends_with_its_context(written: Written) -> None:
    with logs.about(job="job_x", shard=3):
        pass
    log.info("free")
    assert not {"job", "shard"} & set(written.event())


def test_an_error_takes_along_what_it_is_about(written: Written) -> None:
    """Celery logs a task's error once our own context is over."""
    try:
        with logs.about(job="job_x", shard=3):
            _fail("")
    except ValueError:
        foreign.error("a task raised")
    assert written.event()["shard"] == 3


@pytest.mark.parametrize(
    ("lost", "why"),
    [
        ("exitcode 75", "its batch or its load passed"),
        ("exitcode 76", "asked to stop"),
        ("exitcode 77", "out of memory"),
        ("signal 9 (SIGKILL)", "killed by signal 9 (SIGKILL)"),
        ("signal 64", "killed by signal 64"),
        ("exitcode 1", "exitcode 1"),
        ("exitcode 760", "exitcode 760"),
    ],
)
def test_why_a_child_ended(lost: str, why: str) -> None:
    assert why in exit_codes.explain(lost)


def test_what_celery_says_in_our_words(written: Written) -> None:
    """One event each, however many lines it takes; what is not known goes on as it is."""
    celery: Any = consumer
    for said in (
        ("%s (%r)", celery.CONNECTION_RETRY, OSError("gone")),
        ("Process %r pid:%r exited with %r", "SpawnPoolWorker-1", 7, "exitcode 77"),
    ):
        record = logging.LogRecord("celery", logging.ERROR, "", 0, said[0], said[1:], None)
        assert not celery_words.unless_told(record)
    events = [json.loads(line) for line in written.lines()]
    assert [(event["event"], event.get("error"), event.get("why")) for event in events] == [
        ("the connection to Redis is lost", "gone", None),
        ("the child ended; what it held is taken up again", None, "out of memory"),
    ]
    unknown = logging.LogRecord("celery", logging.ERROR, "", 0, "%s (%r)", ("what", 1), None)
    assert celery_words.unless_told(unknown)


@pytest.mark.parametrize(
    ("status", "told"), [("exitcode 0", False), ("exitcode 76", True), ("signal 9 (SIGKILL)", True)]
)
def test_a_childs_end_is_told_once(status: str, told: bool) -> None:
    """The pool says nothing of a regular exit: what Celery says of a task lost to one stands."""
    lost = WorkerLostError(f"Worker exited prematurely: {status} Job: 0.")
    assert celery_words.told(lost) == told


def test_one_log_on_a_disk_that_was_full(tmp_path: Path) -> None:
    """Once it has room again the log goes on; where nobody reads any more it does not."""
    with (tmp_path / "log").open("w") as file:
        for number in (errno.ENOSPC, errno.EPIPE):
            full = Mock(wraps=file)
            full.write.side_effect = OSError(number, "")
            OneLog(["a"], full, "json").say("info", "lost")
            OneLog(["a"], file, "json").say("info", errno.errorcode[number])
    [line] = (tmp_path / "log").read_text().splitlines()
    assert json.loads(line)["event"] == "ENOSPC"


def test_one_log_in_json() -> None:
    """Each line says whose it is, and is an object even where the child's was none."""
    out = io.StringIO()
    one = OneLog(["a", "b"], out, "json")
    one.copy("a", '{"event": "done", "shard": 3}')
    one.copy("b", "Fatal Python error at redis://:secret@host")
    one.say_of("b", "ended with -11")
    one.say("info", "stopping")
    first, *events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert first == {"event": "done", "shard": 3, "process": "a"}
    assert [(event["level"], event["event"], event.get("process")) for event in events] == [
        ("warning", "Fatal Python error at redis://:***@host", "b"),
        ("warning", "ended with -11", "b"),
        ("info", "stopping", None),
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            '{"time": "t", "level": "info", "event": "server ended", "code": 1}',
            "server ended code=1",
        ),
        ("gistmill: no", "gistmill: no"),
        ("[1]", "[1]"),
        ('{"a": 1}', '{"a": 1}'),
        ('{"event": 5}', "5"),
    ],
)
def test_in_words(line: str, words: str) -> None:
    assert logs.in_words(line) == words


def _fail(text: str) -> NoReturn:
    raise ValueError(text)
