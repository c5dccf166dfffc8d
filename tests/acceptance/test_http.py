"""The HTTP API through real HTTP: what a user who has only curl does."""

import json

from tests.mill import eventually, sentences
from tests.serving import Served


def test_create_watch_download(served: Served) -> None:
    with served.http() as http:
        body = {"model": "lead-1", "documents": sentences(10), "labels": {"team": "press"}}
        created = http.post("/v1/jobs", json=body)
        assert created.status_code == 201, created.text
        job = created.json()
        assert created.headers["Location"] == f"/v1/jobs/{job['id']}"
        assert job["counts"]["total"] == 10
        url = f"/v1/jobs/{job['id']}"
        eventually(lambda: http.get(url).json()["status"] == "completed", "it is done")
        results = http.get(f"{url}/results")
        assert results.headers["X-Gistmill-Status"] == "completed"
        assert results.headers["Content-Type"] == "application/x-ndjson"
        rows = [json.loads(line) for line in results.text.splitlines()]
        assert [row["summary"] for row in rows] == [f"Document {n} begins." for n in range(10)]
        listed = http.get("/v1/jobs", params={"label": "team=press", "status": "completed"}).json()
        assert [each["id"] for each in listed["data"]] == [job["id"]]
        assert not listed["has_more"]


def test_a_model_by_its_path_lies_where_the_server_allows_it(served: Served) -> None:
    """Whether there is something is not said: nobody looks around with it."""
    with served.http() as http:
        for model in ("/etc", "/no/such/folder"):
            refused = http.post("/v1/jobs", json={"model": model, "documents": ["A text."]})
            assert refused.status_code == 403, refused.text
            assert "not below what allowed_sources names" in refused.json()["detail"]
        line = {
            "custom_id": "a",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "/etc", "messages": [{"role": "user", "content": "A text."}]},
        }
        form = {"file": ("batch.jsonl", json.dumps(line).encode())}
        file = http.post("/v1/files", data={"purpose": "batch"}, files=form).json()["id"]
        order = {
            "input_file_id": file,
            "endpoint": "/v1/chat/completions",
            "completion_window": "1h",
        }
        batch = http.post("/v1/batches", json=order).json()
        assert batch["status"] == "failed"
        assert batch["errors"]["data"][0]["code"] == "model_not_found"


def test_a_blank_key_is_none(served: Served) -> None:
    with served.http() as http:
        body = {"model": "lead-1", "documents": ["A text."]}
        for _ in range(2):
            refused = http.post("/v1/jobs", json=body, headers={"Idempotency-Key": ""})
            assert refused.status_code == 400
            assert refused.json()["hint"] == "choose one, or leave it out"
