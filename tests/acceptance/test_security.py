"""A mill that somebody wishes ill: what lies on its queue, where documents lie, what it tells."""

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from kombu import Connection, Exchange

from jobs import messages
from jobs.services import Endpoints
from tests.conftest import mill_of_its_own
from tests.mill import Mill, eventually, pool_child, sentences, wait, write_jsonl

SECRET = "pg-s3cr3t"
CANARY = "kanarienvogel"
PROTOCOL = {"id": "0", "lang": "py", "task": messages.SUMMARIZE}


class Evil:
    """Whoever unpickles it makes a file."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._canary),)


@pytest.fixture(scope="module")
def guarded(
    endpoints: Endpoints, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mill]:
    """A mill that runs, with passwords in both URLs; documents may lie in its folder `data`."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "data").mkdir()
    with mill_of_its_own(endpoints, migrated, folder) as configured:
        assert configured.database_url
        # PostgreSQL's socket asks for no password, and minds none.
        database_url = configured.database_url.replace("gistmill@", f"gistmill:{SECRET}@")
        more = {"allowed_sources": (str(folder / "data"),), "database_url": database_url}
        started = Mill(configured.model_copy(update=more), folder)
        started.dispatcher()
        started.start("worker", "worker", "--device", "cpu")
        for name in ("dispatcher", "worker"):
            log = started.log(name)
            eventually(lambda log=log: "is ready" in log.read_text(), name)  # type: ignore[misc]
        yield started
        started.stop()
        print(started.logs())


def strange_messages(canary: Path) -> list[dict[str, Any]]:
    """What kombu can carry and our producer never sends."""
    evil = pickle.dumps([[], {"v": 1, "id": 1, "evil": Evil(canary)}, {}])
    yaml = f"!!python/object/apply:os.mkdir ['{canary}']"
    good = '[[], {"v": 1, "id": 1}, {}]'
    return [
        {"body": evil, "content_type": "application/x-python-serialize"},
        {"body": evil, "content_type": "application/json", "content_encoding": "binary"},
        {"body": evil, "content_type": None},
        {"body": yaml, "content_type": "application/x-yaml"},
        {"body": b"\x80\xff{"},
        {"body": "[" * 100_000},
        {"body": "7"},
        {"body": '["x"]'},
        {"body": '[[1], {"v": 1, "id": 1}, {}]'},
        {"body": '[[], {"v": 1, "id": 1}, {"chain": [{"task": "celery.chord"}]}]'},
        {"body": '[[], {"v": 99, "id": 1}, {}]'},
        {"body": '[[], {"v": 1, "id": "1; DROP TABLE jobs"}, {}]'},
        {
            "body": '{"task": "gistmill.summarize", "id": "0", "args": [], "kwargs": {}}',
            "headers": {},
        },
        {"body": good, "headers": {"task": messages.SUMMARIZE}},
        {"body": good, "headers": {**PROTOCOL, "task": "no.such"}},
        {"body": good, "headers": {**PROTOCOL, "task": ["no.such"]}},
        {"body": good, "headers": {**PROTOCOL, "timelimit": [1, 1]}},
        {"body": good, "headers": {**PROTOCOL, "eta": "in a year"}},
    ]


def test_strange_messages_cost_a_line_each(guarded: Mill, tmp_path: Path) -> None:
    """Among them pickled ones, which are never opened; the worker and its child live on."""
    canary = tmp_path / "canary"
    worker = guarded.started("worker")
    child = pool_child(worker)
    log = guarded.log("worker")
    before = len(log.read_text())
    strange = strange_messages(canary)
    put(guarded, strange)
    with guarded.client() as client:
        assert wait(client.submit(["One. Two."], model="lead-1")) == "completed"
    eventually(lambda: log.read_text()[before:].count("message is dropped") == len(strange), "all")
    assert pool_child(worker) == child
    assert not canary.exists()
    assert "Traceback" not in log.read_text()


def put(mill: Mill, several: list[dict[str, Any]]) -> None:
    """On the mill's queue, as whoever can write to its Redis can."""
    options = {"global_keyprefix": "gistmill:"}
    usual = {"content_type": "application/json", "content_encoding": "utf-8", "headers": PROTOCOL}
    url = mill.settings.broker_url or ""
    with Connection(url, transport_options=options) as connection:
        exchange = Exchange(messages.QUEUE, "direct")
        producer = connection.Producer(exchange=exchange, routing_key=messages.QUEUE)
        for message in several:
            producer.publish(**{**usual, **message})


def test_documents_elsewhere_are_not_read(guarded: Mill, tmp_path: Path) -> None:
    """Refused as they are submitted, and by the worker where the submitter does not mind."""
    [folder] = guarded.settings.allowed_sources or ()
    rows = [{"text": text} for text in sentences(3)]
    write_jsonl(Path(folder) / "in.jsonl", rows)
    write_jsonl(tmp_path / "secret.jsonl", rows)
    (Path(folder) / "link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    said = guarded.say("submit", f"{folder}/in.jsonl", "--model", "lead-1", "--wait", "-q")
    assert said.stdout.startswith("job_")
    careless = Mill(guarded.settings.model_copy(update={"allowed_sources": None}), tmp_path)
    for path in (tmp_path / "secret.jsonl", Path(folder) / "link.jsonl"):
        refused = guarded.say("submit", str(path), "--model", "lead-1", expect=4)
        [line] = refused.stderr.splitlines()
        assert line.startswith(
            f"gistmill: {path}: not below what allowed_sources names ({folder}); move it there"
        )
        job_id = careless.say("submit", str(path), "--model", "lead-1", "-q").stdout.strip()
        assert "source_not_allowed: " in guarded.say("wait", job_id, expect=1).stdout


def test_a_password_in_a_url_goes_no_further(guarded: Mill, tmp_path: Path) -> None:
    """Neither into SQL nor onto a screen, wherever documents may lie."""
    careless = Mill(guarded.settings.model_copy(update={"allowed_sources": None}), tmp_path)
    for mill, url, shown in (
        (guarded, f"https://me:{SECRET}@example.org/in.jsonl", "https://…example.org/in.jsonl"),
        (careless, f"https://me:{SECRET}@example.org/in.jsonl", "https://…example.org/in.jsonl"),
        (careless, f"https://example.org/in.jsonl?sig={SECRET}", "https://example.org/in.jsonl…"),
    ):
        [line] = mill.say("submit", url, "--model", "lead-1", expect=2).stderr.splitlines()
        assert line.startswith(f"gistmill: {shown}: ")
        assert "would be stored with the job" in line
        assert SECRET not in line
    elsewhere = guarded.say(
        "submit", "https://example.org/in.jsonl", "--model", "lead-1", expect=4
    ).stderr
    assert "https://example.org/in.jsonl: not below what allowed_sources names" in elsewhere


def test_logs_hold_no_text_and_no_password(guarded: Mill, tmp_path: Path) -> None:
    """Whatever fails: lines of a file, a server that is not there."""
    good = {"text": f"One {CANARY}. Two.", "id": CANARY, "ref": CANARY}
    bad = [f"{CANARY} is no JSON", json.dumps({"text": [CANARY]}), json.dumps(CANARY)]
    columns = ["--id-column", "id", "--reference-column", "ref"]
    folder = (guarded.settings.allowed_sources or ("",))[0]
    (Path(folder) / "canaries.jsonl").write_text("\n".join([json.dumps(good), *bad]))
    source = f"{folder}/canaries.jsonl"
    words = ["submit", source, "--model", "lead-1", *columns, "-q", "--wait"]
    guarded.say(*words, expect=3)
    port = "127.0.0.1:1"
    nowhere = {"broker_url": f"redis://:{SECRET}@{port}/0"}
    lost = Mill(guarded.settings.model_copy(update=nowhere), tmp_path)
    try:
        lost.worker()
        lost.dispatcher()
        for name in ("worker", "dispatcher"):
            log = lost.log(name)
            eventually(lambda log=log: port in log.read_text(), name)  # type: ignore[misc]
    finally:
        lost.stop()
    told = guarded.logs() + lost.logs() + guarded.say("config", "--all").stdout
    assert CANARY not in told
    for url in (guarded.settings.database_url, guarded.settings.broker_url):
        assert (urlsplit(url or "").password or "?") not in told
