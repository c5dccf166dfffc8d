"""`/metrics` of the API and of a worker, read as Prometheus reads them."""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families as parse

from jobs.services import Endpoints
from tests.conftest import mill_of_its_own
from tests.mill import Mill, eventually, pool_child, sentences, wait, write_jsonl
from tests.serving import Served, serving

DOCS = Path(__file__).resolve().parents[2] / "docs"
_NAME = re.compile(r"\b(?:gistmill|process)_[a-z_]+\b")


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


class Scraped:
    """What was exported at one moment."""

    def __init__(self, text: str) -> None:
        self.families: dict[str, Metric] = {each.name: each for each in parse(text)}
        self.samples = [sample for each in self.families.values() for sample in each.samples]

    def sum(self, name: str, **labels: str) -> float:
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def has(self, name: str) -> bool:
        return any(sample.name == name for sample in self.samples)


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def served(
    endpoints: Endpoints, migrated: str, tmp_path_factory: pytest.TempPathFactory, port: int
) -> Iterator[Served]:
    """A mill whose worker serves its numbers, for all tests here."""
    folder = tmp_path_factory.mktemp("mill")
    with mill_of_its_own(endpoints, migrated, folder) as configured:
        mill = Mill(configured, folder)
        mill.dispatcher()
        mill.start("worker", "worker", "--device", "cpu", "--metrics-port", str(port))
        with serving(mill) as found:
            yield found
        mill.stop()
        print(mill.logs())


def of_worker(port: int) -> Scraped:
    return Scraped(httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text)


def of_mill(served: Served, token: str | None = None) -> Scraped:
    with served.http(token) as http:
        answer = http.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return Scraped(answer.text)


def described() -> dict[str, str]:
    """Of docs/metrics.md: each metric's name and type."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", (DOCS / "metrics.md").read_text(), re.MULTILINE)
    return dict(rows)


def test_the_numbers_are_the_jobs(served: Served, port: int, tmp_path: Path) -> None:
    """And they outlive the child that counted them, which its own levels do not."""
    rows = [{"text": text} for text in [*sentences(30), *sentences(10)]]
    file = write_jsonl(tmp_path / "in.jsonl", rows)
    with file.open("a") as lines:
        lines.write("no json\n")
    with served.mill.client() as client:
        job = client.submit(file, model="lead-3")
        assert wait(job) == "completed"
        counts, usage = job.status().counts, job.status().usage
    worker = of_worker(port)
    made = counts.completed - counts.reused
    documents = "gistmill_worker_documents_total"
    assert worker.sum(documents, model="lead-3", outcome="completed") == made
    assert worker.sum(documents, outcome="reused") == counts.reused == 10
    assert worker.sum(documents, outcome="failed") == counts.failed == 1
    assert worker.sum("gistmill_worker_failed_documents_total") == 1
    assert worker.sum("gistmill_worker_input_tokens_total") == usage.input_tokens
    assert worker.sum("gistmill_worker_output_tokens_total") == usage.output_tokens
    assert worker.sum("gistmill_worker_generating_seconds_count", model="lead-3") >= 1
    assert worker.sum("gistmill_worker_model_loaded", model="lead-3", engine="lead") == 1
    os.kill(pool_child(served.mill.started("worker")), signal.SIGKILL)
    deaths = "gistmill_worker_child_deaths_total"
    eventually(lambda: of_worker(port).sum(deaths, reason="killed") == 1, "a death is counted")
    after = of_worker(port)
    assert after.sum(documents) == worker.sum(documents)
    assert after.sum("gistmill_worker_model_loaded") == 0
    assert not after.has("gistmill_worker_child_resident_bytes")


def test_the_mill_as_it_stands(served: Served) -> None:
    eventually(lambda: of_mill(served).sum("gistmill_alive") == 2, "who lives has said so")
    with served.http() as http:
        assert http.get("/v1/jobs/job_abc").status_code == 404
        assert http.get("/no/such/path").status_code == 404
    seen = of_mill(served)
    assert seen.sum("gistmill_database_up") == seen.sum("gistmill_broker_up") == 1
    assert seen.sum("gistmill_alive_workers", device="cpu") == 1
    requests = "gistmill_http_requests_total"
    assert seen.sum(requests, route="/v1/jobs/{job_id}", method="GET", status="404") == 1
    assert seen.sum(requests, route="other", status="404") == 1
    assert not any("job_abc" in str(sample.labels) for sample in seen.samples)


def test_work_stands_still_as_whoever_may_read_sees(mill: Mill) -> None:
    with serving(mill) as served:
        with mill.client() as client:
            client.submit(sentences(7), model="lead-3")
            with client.database.transaction() as tx:
                tx.exec_driver_sql(
                    "UPDATE jobs SET status = 'in_progress', created_at = now() - interval '1 hour'"
                )
        token = served.token("read")
        with served.http() as http:
            refused = http.get("/metrics")
        seen = of_mill(served, token)
    assert refused.status_code == 401
    assert "gistmill_jobs" not in refused.text
    assert seen.sum("gistmill_jobs", status="in_progress") == 1
    assert seen.sum("gistmill_waiting_shards") == 1
    assert seen.sum("gistmill_shards", state="pending") == 1
    assert seen.sum("gistmill_documents_left") == 7
    assert 3600 <= seen.sum("gistmill_last_progress_age_seconds") < 4000
    assert 3600 <= seen.sum("gistmill_oldest_work_age_seconds") < 4000
    assert seen.sum("gistmill_alive") == 0


def test_a_port_that_is_taken_is_one_line(mill: Mill) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = mill.command("worker", "--device", "cpu", "--metrics-port", str(port), expect=2)
    assert "choose another --metrics-port" in said.stderr
    assert "Traceback" not in said.stderr


# --- the documentation and the rules


def test_every_metric_is_described(served: Served, port: int) -> None:
    """And what is described is there, but for what only a GPU or trouble brings."""
    with served.mill.client() as client:
        assert wait(client.submit(sentences(3), model="lead-3")) == "completed"
    families = {**of_mill(served).families, **of_worker(port).families}
    ours = {name: each.type for name, each in families.items() if name.startswith("gistmill_")}
    told = described()
    assert {n: told.get(_full(n, kind)) for n, kind in ours.items()} == ours
    rare = {
        "gistmill_worker_device_memory_bytes",
        "gistmill_worker_device_utilization_ratio",
        "gistmill_worker_failed_documents_total",
        "gistmill_worker_retries_total",
    }
    assert told.keys() - {_full(name, kind) for name, kind in ours.items()} <= rare


def test_every_metric_of_a_rule_is_described() -> None:
    rules = yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"][0]["rules"]
    named = {name for rule in rules for name in _NAME.findall(rule["expr"])}
    parts = {name + part for name in described() for part in ("", "_sum", "_count", "_bucket")}
    assert len(named) > 8
    assert named <= parts


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize(
    "words",
    [("check", "rules", "alerts.yml"), ("test", "rules", "../tests/alerts/alerts_test.yml")],
)
def test_promtool_takes_the_rules(words: tuple[str, ...]) -> None:
    ended = subprocess.run(
        ["promtool", *words], cwd=DOCS, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def _full(name: str, kind: str) -> str:
    """The parser leaves `_total` out."""
    return f"{name}_total" if kind == "counter" else name
