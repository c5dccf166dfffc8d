"""The same API from anywhere: a client of this machine's mill, and one that asks it over HTTP, say
and raise the same."""

import gzip
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jobs import columns, parameters
from jobs.errors import (
    GistmillError,
    KeyTaken,
    NotFound,
    UsageError,
    WaitTimeout,
    WrongState,
)
from jobs.sources.asked import Asked
from producer.client import Client
from producer.job import Job
from producer.remote import sending
from producer.submit import Request
from tests.mill import Mill, sentences, wait, write_jsonl
from tests.serving import Served, serving

GOOD = {"text": "One. Two.", "id": "a", "summary": "One."}


@pytest.fixture(scope="module")
def served(running: Mill) -> Iterator[Served]:
    with serving(running) as found:
        yield found


@pytest.fixture(scope="module")
def token(served: Served) -> str:
    return served.token("submit", "read", "admin")


@pytest.fixture(params=["here", "over HTTP"])
def client(running: Mill, served: Served, token: str, request: Any) -> Iterator[Client]:
    url = served.url if request.param == "over HTTP" else None
    with Client(url, token if url else None, settings=running.settings) as opened:
        yield opened


Submit = Callable[[Client, Path], Job]


def _texts(client: Client, _: Path) -> Job:
    return client.submit(["One. Two.", "Three. Four."], model="lead-1")


def _mappings(client: Client, _: Path) -> Job:
    return client.submit(
        ({"text": each, "id": 7} for each in ("One. Two.", "Three. Four.")), model="lead-1"
    )


def _many(client: Client, _: Path) -> Job:
    """More than a request has room for."""
    return client.submit(sentences(2500), model="lead-1")


def _file(client: Client, folder: Path) -> Job:
    path = write_jsonl(
        folder / "in.jsonl", [{"body": "One. Two.", "n": 1}, {"body": "Three. Four.", "n": 2}]
    )
    return client.submit(path, model="lead-1", text_column="body")


def _dataset(client: Client, _: Path) -> Job:
    import datasets

    made = datasets.Dataset.from_dict({"text": ["One. Two.", "Three. Four."], "n": [1, 2]})
    return client.submit(made, model="lead-1")


@pytest.mark.parametrize("submit", [_texts, _mappings, _many, _file, _dataset])
def test_whatever_is_submitted(client: Client, tmp_path: Path, submit: Submit) -> None:
    job = submit(client, tmp_path)
    assert job.new
    assert wait(job) == "completed"
    rows = list(job.results())
    status = job.status()
    assert len(rows) == status.counts.total == status.counts.completed
    assert [row["index"] for row in rows] == list(range(len(rows)))
    assert rows[0]["summary"] in ("One.", "Document 0 begins.")
    assert client.job(job.id[:-2]).id == job.id


def test_failures_and_retry(client: Client) -> None:
    job = client.submit([GOOD, {"txt": "x"}, {"text": 3}], model="lead-1", text_column="text")
    assert wait(job) == "completed"
    found = {each.code: each for each in job.failures(samples=1)}
    assert found.keys() == {"missing_text", "text_not_string"}
    assert found["missing_text"].documents == 1
    assert found["missing_text"].samples[0]["index"] == 1
    assert found["missing_text"].first_seen.tzinfo is not None
    assert job.retry("missing_text").failed == 1
    assert wait(job) == "completed"
    with pytest.raises(UsageError, match="'strange': write one of"):
        job.retry("strange")


def test_what_is_asked_of_a_job(mill: Mill) -> None:
    """Of one that nobody begins."""
    with serving(mill) as served:
        for url in (None, served.url):
            with Client(url, settings=mill.settings) as client:
                assert client.missing() == ["dispatcher", "worker"]
                job = client.submit(["x"], model="lead-1", labels={"by": str(url)}, priority=3)
                assert [each.id for each in client.jobs(labels={"by": str(url)})] == [job.id]
                assert client.jobs(labels={"by": "nobody"}) == []
                with pytest.raises(WrongState, match=f"{job.id} is validating: only a job in prog"):
                    job.pause()
                with pytest.raises(WrongState, match="can be resumed"):
                    job.resume()
                job.set_priority(7)
                assert job.status().priority == 7
                with pytest.raises(UsageError, match="priority 1001"):
                    job.set_priority(1001)
                with (
                    pytest.warns(UserWarning, match="no dispatcher and no worker"),
                    pytest.raises(WaitTimeout, match=f"{job.id} is validating after 0 s"),
                ):
                    job.wait(0)
                job.cancel()
                assert job.status().over
                with pytest.raises(WrongState, match="is cancelled"):
                    job.cancel()
                assert client.purge(0, dry_run=True) == [job.id]
                assert client.purge(0) == [job.id]
                with pytest.raises(NotFound):
                    job.status()
        with Client(served.url, settings=mill.settings) as client:
            many = [client.submit([str(n)], model="lead-1").id for n in range(3)]
            assert [each.id for each in client.jobs(2)] == many[:0:-1]
            assert [each.id for each in client.jobs(2, before=many[1])] == [many[0]]


def test_a_join_given_back(client: Client, tmp_path: Path) -> None:
    rows = [{"body": f"First {n}. Second.", "n": n, "when": None} for n in range(3)]
    job = client.submit(
        write_jsonl(tmp_path / "in.jsonl", rows), model="lead-1", text_column="body"
    )
    assert wait(job) == "completed"
    joined = list(job.results(join=True))
    assert joined == [
        {**row, "summary": f"First {row['n']}.", "summary_error": None} for row in rows
    ]
    assert [*next(job.results(join=True, summary_column="gist"))][-2:] == ["gist", "gist_error"]
    found = job.to_dataset()
    assert found["n"] == [0, 1, 2]
    assert found.features["n"].dtype == "int64"
    assert job.to_dataset(join=False)["summary"] == [row["summary"] for row in joined]
    with pytest.raises(UsageError, match="add --join"):
        list(job.results(summary_column="gist"))
    with pytest.raises(UsageError, match="the source has a column body"):
        list(job.results(join=True, summary_column="body"))


@pytest.mark.parametrize("join", [False, True])
def test_the_same_bytes(
    running: Mill, served: Served, token: str, tmp_path: Path, join: bool
) -> None:
    rows = [{"body": f'He said "{n}",\r\nand left\u2028. Second.', "n": n} for n in range(40)]
    path = write_jsonl(tmp_path / "in.jsonl", [*rows, {"n": 3}])
    with running.client() as here, Client(served.url, token, settings=running.settings) as there:
        job = there.submit(path, model="lead-1", text_column="body")
        assert wait(job) == "completed"
        for form in ("jsonl", "csv", "parquet"):
            ours, theirs = tmp_path / f"here.{form}", tmp_path / f"there.{form}"
            assert here.job(job.id).save(ours, join=join) == 41
            assert job.save(theirs, join=join) == 41
            assert ours.read_bytes() == theirs.read_bytes(), form


def test_evaluate_and_diff(client: Client) -> None:
    one, other = (client.submit([GOOD, {**GOOD, "id": "b"}], model=f"lead-{n}") for n in (1, 2))
    for job in (one, other):
        assert wait(job) == "completed"
    found = one.evaluate()
    assert found.rouge is not None
    assert found.rouge.summaries["rouge1"].mean == 100
    assert found.novel_ngrams is not None
    assert {*found.novel_ngrams} >= {1, 2}
    compared = one.diff(other)
    assert (compared.matched_by, compared.documents, compared.a.model) == ("id", 2, "lead-1")
    with pytest.raises(UsageError, match="is read with the documents"):
        one.evaluate(reference_column="summary", read_documents=False)


def test_a_dry_run(client: Client) -> None:
    job = client.submit(
        ["One. Two.", "Three."], model="lead-1", dry_run=True, window="00:00-23:59 UTC"
    )
    assert wait(job) == "completed"
    report = job.status().report
    assert report is not None
    assert report["sample"]["documents"] == 2


def test_an_idempotency_key(client: Client, tmp_path: Path) -> None:
    key = f"night {id(client)}"
    path = write_jsonl(tmp_path / "in.jsonl", [{"text": "One. Two."}])
    for given, key_of_it in ((["One. Two."], key), (path, f"{key} file")):
        first = client.submit(given, model="lead-1", idempotency_key=key_of_it)
        again = client.submit(given, model="lead-1", idempotency_key=key_of_it)
        assert (first.new, again.new, again.id) == (True, False, first.id)
        with pytest.raises(KeyTaken, match=f"{first.id}, which has other documents"):
            client.submit(["Other."], model="lead-1", idempotency_key=key_of_it)


@pytest.mark.parametrize(
    ("given", "options", "kind", "says"),
    [
        ([], {}, UsageError, "holds no document"),
        ([3], {}, UsageError, "document 0 is int; give strings"),
        ("a text", {}, UsageError, "got one str"),
        (["x"], {"model": "led-3"}, UsageError, "no such model"),
        (["x"], {"num_beams": 2}, UsageError, "lead-1 generates nothing"),
        (["x"], {"split": "test"}, UsageError, "split, config and revision are for datasets"),
        ([{"a": "x", "b": "y"}], {}, UsageError, "--text-column"),
        (["x"], {"deadline": "2020-01-01T07:00"}, UsageError, "is over"),
        ([{"a": "x", "b": "y"}] * 1001, {}, UsageError, "documents"),
        (["x"], {"fair_by": "user"}, UsageError, "give the job that label too"),
        (Path("/nowhere/in.jsonl"), {}, NotFound, "/nowhere/in.jsonl"),
    ],
)
def test_what_makes_no_sense(
    client: Client, given: Any, options: dict[str, Any], kind: type[GistmillError], says: str
) -> None:
    with pytest.raises(kind) as caught:
        client.submit(given, **{"model": "lead-1", **options})
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_job_that_is_not_there(client: Client) -> None:
    for prefix in ("job_nothing", "../files"):
        with pytest.raises(NotFound, match=f"no job '{prefix}'; `gistmill ls` lists them"):
            client.job(prefix)
    with pytest.raises(UsageError, match="name a job by its id"):
        client.job("")


def test_less_than_none(client: Client) -> None:
    job = client.submit(["One. Two."], model="lead-1")
    for ask in (
        partial(client.jobs, -1),
        partial(client.jobs, statuses=["strange"]),  # type: ignore[list-item]  # as users may
        partial(client.purge, -1),
        partial(client.purge, float("nan")),
        partial(job.failures, -1),
        partial(job.evaluate, -1),
        partial(job.diff, job, -1),
    ):
        with pytest.raises(UsageError, match="write"):
            ask()


def test_a_text_that_is_no_utf8(client: Client) -> None:
    job = client.submit(["One \ud800. Two."], model="lead-1")
    assert wait(job) == "completed"
    assert [row["summary"] for row in job.results()] == ["One \ufffd."]


def test_the_secret_of_webhooks(client: Client) -> None:
    assert client.webhook_secret().startswith("whsec_")


@pytest.mark.parametrize(
    ("name", "form"), [("in.data", "csv"), ("in.data.gz", "csv"), ("in.tsv.gz", "csv")]
)
def test_a_format_that_the_name_does_not_tell(
    client: Client, tmp_path: Path, name: str, form: str
) -> None:
    written = b"text\tn\nOne. Two.\t1\n" if "tsv" in name else b"text,n\nOne. Two.,1\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(written) if name.endswith(".gz") else written)
    asked = Asked(columns.Asked(), format=form)
    request = Request(model="lead-1", parameters=parameters.parse({}))
    job = client.submit_source(request, str(path), asked)
    assert wait(job) == "completed"
    assert [row["summary"] for row in job.results()] == ["One."]
    with pytest.raises(UsageError, match="format 'strange': choose one of"):
        client.submit_source(request, str(path), replace(asked, format="strange"))


def test_an_error_names_what_its_user_sent(client: Client, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "empty.jsonl", [])
    with pytest.raises(UsageError, match=r"empty\.jsonl holds no document"):
        client.submit(path, model="lead-1")


def test_a_file_that_changes_while_it_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"text": "x"}\n')
    with path.open("rb") as file, path.open("a") as writer:
        sent = sending.Unchanging(file, "log.jsonl")
        assert sent.read(4) == b'{"te'
        writer.write('{"text": "more"}\n')
        writer.flush()
        with pytest.raises(UsageError, match=r"log\.jsonl: it changed while it was sent"):
            sent.read()


def test_commands_with_a_url(mill: Mill) -> None:
    with serving(mill) as served:
        url = ("--url", served.url)
        words = ("submit", "-", "--model", "lead-1", "-q", *url)
        job_id = mill.say(*words, stdin='{"text": "x"}\nno json\n').stdout.strip()
        assert (
            f"{job_id} validating: 0 of 2 documents done" in mill.say("status", job_id, *url).stdout
        )
        assert mill.say("ls", "-q", *url).stdout.split() == [job_id]
        assert "in progress can be paused" in mill.say("pause", job_id, *url, expect=4).stderr
        assert "has priority 7" in mill.say("priority", job_id, "7", *url).stdout
        assert "cancelled: 0 of 2 documents" in mill.say("cancel", job_id, *url).stdout
        mill.say("wait", job_id, *url, expect=1)
        assert mill.say("purge", "--older-than", "0s", *url).stdout.split() == [job_id]
        mill.say("status", "job_nothing", *url, expect=5)
        mill.say(*url, "ls", "-q")
        assert "token ls: asks no mill" in mill.say(*url, "token", "ls", expect=2).stderr
        assert f"{served.url} answers" in mill.say(*url, "doctor", expect=1).stdout
        assert mill.say("webhook", "secret", *url).stdout.startswith("whsec_")
    said = mill.say("ls", *url, expect=5).stderr
    assert "is `gistmill serve` running there?" in said
    assert "write it as https://HOST" in mill.say("ls", "--url", "mill", expect=2).stderr


def test_the_token_stays_where_it_is() -> None:
    for url, token, says in (
        ("http://mill.example", "gm_secret", "without TLS"),
        ("https://mill.example", "gm_secret\n", "token: holds what no token does"),
        ("https://mill.example", "gm_secret\u00e9", "token: holds what no token does"),
    ):
        with pytest.raises(UsageError, match=says) as caught:
            Client(url, token)
        assert "gm_secret" not in str(caught.value)
    with Client("https://mill.example", "gm_secret") as client:
        assert "gm_secret" not in repr(vars(client)) + repr(vars(client.mill))
