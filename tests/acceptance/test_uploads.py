"""Files that are uploaded over HTTP, and jobs that read them."""

import gzip
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import openai
import pytest

from tests.mill import Mill, closed_now, eventually, sentences
from tests.serving import Served, serving

PAPERS = "".join(
    json.dumps({"id": f"d{n}", "article": text, "year": 2000 + n}) + "\n"
    for n, text in enumerate(sentences(20))
).encode()


def test_upload_list_read_delete(served: Served) -> None:
    with served.http() as http:
        made = _upload(http, "../../etc/папка/papers.JSONL", PAPERS)
        assert made == {
            "id": made["id"],
            "object": "file",
            "bytes": len(PAPERS),
            "created_at": made["created_at"],
            "filename": "papers.JSONL",
            "purpose": "batch",
            "status": "processed",
            "status_details": None,
            "expires_at": None,
        }
        url = f"/v1/files/{made['id']}"
        assert http.get(url).json() == made
        content = http.get(f"{url}/content")
        assert content.content == PAPERS
        assert content.headers["Content-Length"] == str(len(PAPERS))
        assert [path.name for path in _kept(served)] == [f"{made['id']}.jsonl"]
        assert http.delete(url).json() == {"id": made["id"], "object": "file", "deleted": True}
        assert http.get(url).status_code == 404
        assert http.get(f"{url}/content").status_code == 404
        assert _kept(served) == []


def test_the_official_client(served: Served) -> None:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none") as client:
        made = [client.files.create(file=(f"{n}.jsonl", PAPERS), purpose="batch") for n in range(3)]
        assert [each.id for each in client.files.list(limit=2)] == [
            each.id for each in reversed(made)
        ]
        assert [each.id for each in client.files.list(purpose="batch", order="asc")] == [
            each.id for each in made
        ]
        assert list(client.files.list(purpose="vision")) == []
        assert client.files.content(made[0].id).read() == PAPERS
        for each in made:
            assert client.files.delete(each.id).deleted
        assert list(client.files.list()) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("papers.jsonl", PAPERS),
        ("papers.jsonl.gz", gzip.compress(PAPERS)),
        ("papers.csv", b"id,article\n" + b"".join(b"d%d,Text %d.\n" % (n, n) for n in range(20))),
    ],
)
def test_a_job_of_a_file(served: Served, name: str, content: bytes) -> None:
    with served.http() as http:
        file = _upload(http, name, content)
        job = http.post("/v1/jobs", json={"model": "lead-1", "file": file["id"]})
        assert job.status_code == 201, job.text
        source = job.json()["source"]
        assert source["file"] == file["id"]
        assert source["filename"] == name
        assert str(served.mill.settings.home) not in job.text
        url = f"/v1/jobs/{job.json()['id']}"
        eventually(lambda: http.get(url).json()["status"] == "completed", "it is done")
        rows = [json.loads(line) for line in http.get(f"{url}/results").text.splitlines()]
        assert [row["id"] for row in rows] == [f"d{n}" for n in range(20)]
        with served.mill.client() as client:
            joined = list(client.job(job.json()["id"]).results(join=True))
        assert joined[3]["article"] in content.decode(errors="replace") or name.endswith("gz")
        assert http.delete(f"/v1/files/{file['id']}").status_code == 200


def test_a_file_that_is_read_stays(served: Served) -> None:
    with served.http() as http:
        file = _upload(http, "papers.jsonl", PAPERS)
        body = {"model": "lead-1", "file": file["id"], "window": closed_now()}
        answer = http.post("/v1/jobs", json=body)
        assert answer.status_code == 201, answer.text
        job = answer.json()
        refused = http.delete(f"/v1/files/{file['id']}")
        # OpenAI's client would try a 409 again.
        assert refused.status_code == 400, refused.text
        assert refused.json()["hint"] == "cancel it first"
        with served.mill.client() as client:
            client.job(job["id"]).cancel()
        url = f"/v1/jobs/{job['id']}"
        eventually(lambda: http.get(url).json()["status"] == "cancelled", "it is cancelled")
        assert http.delete(f"/v1/files/{file['id']}").status_code == 200


def test_purge_forgets_what_no_job_has(served: Served) -> None:
    with served.http() as http:
        stays, goes = (_upload(http, "papers.jsonl", PAPERS) for _ in range(2))
        body = {"model": "lead-1", "file": stays["id"], "window": closed_now()}
        job = http.post("/v1/jobs", json=body).json()["id"]
        with served.mill.client() as client:
            client.purge(3600)
            assert http.get(f"/v1/files/{goes['id']}").status_code == 200, "not old enough"
            client.purge(0)
            assert http.get(f"/v1/files/{stays['id']}").status_code == 200
            assert http.get(f"/v1/files/{goes['id']}").status_code == 404
            assert [path.name for path in _kept(served)] == [f"{stays['id']}.jsonl"]
            client.job(job).cancel()
            url = f"/v1/jobs/{job}"
            eventually(lambda: http.get(url).json()["status"] == "cancelled", "it is cancelled")
            client.purge(0)
        assert _kept(served) == []


def test_mistakes_say_nothing_of_where_it_lies(served: Served) -> None:
    with served.http() as http:
        for name, content, says in (
            ("a.parquet", b"no parquet", "parquet"),
            ("a.jsonl", b"", "holds no document"),
            ("a.zip", b"PK", ".zip is not read"),
        ):
            file = _upload(http, name, content)
            answer = http.post("/v1/jobs", json={"model": "lead-1", "file": file["id"]})
            assert answer.status_code == 400, answer.text
            assert says in answer.text.lower()
            assert str(file["id"]) in answer.text
            assert str(served.mill.settings.home) not in answer.text
            http.delete(f"/v1/files/{file['id']}")
        missing = http.post("/v1/jobs", json={"model": "lead-1", "file": "file-0"})
        assert missing.status_code == 404


@pytest.mark.parametrize(
    ("given", "status", "says"),
    [
        ({"files": {"paper": ("a.jsonl", b"{}")}}, 400, "'paper'"),
        (
            {"content": b"--x", "headers": {"Content-Type": "text/plain"}},
            400,
            "multipart/form-data",
        ),
        ({"files": {"file": ("a.jsonl", b"{}")}, "data": {"ttl": "1"}}, 400, "'ttl'"),
        (
            {
                "content": b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nbroken',
                "headers": {"Content-Type": "multipart/form-data; boundary=x"},
            },
            400,
            "broke off",
        ),
    ],
)
def test_forms_that_are_none(served: Served, given: dict, status: int, says: str) -> None:  # type: ignore[type-arg]
    with served.http() as http:
        answer = http.post("/v1/files", **given)
        assert answer.status_code == status, answer.text
        assert says in answer.text
        assert _kept(served) == []


def test_too_large_is_refused_while_it_comes(small: Served) -> None:
    before = _kept(small)
    with small.http() as http:
        answer = http.post("/v1/files", files={"file": ("a.jsonl", b"x" * 2_000_000)})
        assert answer.status_code == 413
        assert "max_upload_bytes" in answer.json()["hint"]
        assert _kept(small) == before
        assert _upload(http, "a.jsonl", b"x" * 1_000_000)["bytes"] == 1_000_000


def test_a_cut_connection_leaves_nothing(served: Served) -> None:
    before = _kept(served)
    parts = urlsplit(served.url)
    head = (
        f"POST /v1/files HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 1000000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
    )
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        connection.sendall(head.encode() + b"y" * 10_000)
        eventually(lambda: len(_kept(served)) > len(before), "it is being written")
    eventually(lambda: _kept(served) == before, "nothing is left")


def test_allowed_sources_and_uploads(small: Served) -> None:
    """Where only one folder may be read, uploads may be too, and nothing else of the server."""
    with small.http() as http:
        file = _upload(http, "papers.jsonl", PAPERS)
        ours = http.post("/v1/jobs", json={"model": "lead-1", "file": file["id"]})
        assert ours.status_code == 201, ours.text
        lies = str(next(path for path in _kept(small) if path.stat().st_size == len(PAPERS)))
        for source in (lies, "/etc/hostname", "https://example.org/a.jsonl"):
            answer = http.post("/v1/jobs", json={"model": "lead-1", "source": source})
            assert answer.status_code == 403, answer.text
        url = f"/v1/jobs/{ours.json()['id']}"
        eventually(lambda: http.get(url).json()["status"] == "completed", "it is done")


def test_no_source_over_http_until_it_is_allowed(served: Served) -> None:
    with served.http() as http:
        for source in ("/etc/hostname", "etc/host.jsonl", "s3://corpus/a.jsonl"):
            answer = http.post("/v1/jobs", json={"model": "lead-1", "source": source})
            assert answer.status_code == 403
            assert "allowed_sources" in answer.text
            assert "/v1/files" in answer.json()["hint"]


@pytest.fixture(scope="module")
def small(running: Mill, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Takes a megabyte at most, and reads nothing but one folder."""
    folder = tmp_path_factory.mktemp("allowed")
    limits = {"allowed_sources": (str(folder),), "max_upload_bytes": 1_000_000}
    less = Mill(running.settings.model_copy(update=limits), folder)
    with serving(less, name="small") as found:
        yield found


def _upload(http: httpx.Client, name: str, content: bytes) -> dict[str, object]:
    answer = http.post("/v1/files", data={"purpose": "batch"}, files={"file": (name, content)})
    assert answer.status_code == 200, answer.text
    made: dict[str, object] = answer.json()
    return made


def _kept(served: Served) -> list[Path]:
    return sorted(Path(served.mill.settings.uploads_root).glob("*"))
