"""The compose files and the Dockerfile without a Docker engine: they are valid, and the very
commands and health checks that they name do a job on real servers."""

import json
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from jobs import exposure
from jobs.database import Database
from jobs.settings import Settings, Timings
from jobs.store import workers
from jobs.store.workers import Presence
from tests import compose
from tests.compose import BASE, GPU, ROOT
from tests.deployment import SECRETS, Deployment
from tests.mill import PATIENCE, eventually, sentences, write_jsonl


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose.fill_in(compose.read(BASE), SECRETS)["services"]
    return found


def test_the_specification(tmp_path: Path) -> None:
    """Each file, and what compose makes of them together, fits the specification's schema."""
    page = (ROOT / "docs" / "deploying.md").read_text()
    (override,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    documented = tmp_path / "documented.yml"
    documented.write_text(override)
    merged = compose.fill_in(compose.read(BASE, GPU, documented), SECRETS)
    assert merged["services"]["worker"]["deploy"]
    assert merged["services"]["worker"]["healthcheck"]
    whole = tmp_path / "merged.yml"
    whole.write_text(yaml.safe_dump(merged))
    assert _fits(BASE, GPU, documented, whole)
    whole.write_text(yaml.safe_dump({"services": {"worker": {"image": "x", "commnd": "y"}}}))
    assert not _fits(whole)


def test_nothing_starts_without_its_secrets() -> None:
    shipped = dotenv_values(ROOT / ".env.example")
    assert compose.required(BASE.read_text()) == SECRETS.keys() < shipped.keys()
    with pytest.raises(compose.Refused, match=r"POSTGRES_PASSWORD: set it in \.env"):
        compose.fill_in(compose.read(BASE), {k: v for k, v in shipped.items() if v})
    for name in SECRETS:
        with pytest.raises(compose.Refused, match=name):
            compose.fill_in(compose.read(BASE), {**SECRETS, name: ""})


def test_services_wait_stop_and_are_watched(services: dict[str, dict[str, Any]]) -> None:
    lasting = {name for name in services if services[name].get("restart") == "unless-stopped"}
    assert lasting == {"postgres", "redis", "dispatcher", "api", "worker"}
    assert all("healthcheck" in services[name] for name in lasting)
    for service in services.values():
        for other, wanted in service.get("depends_on", {}).items():
            healthy = wanted["condition"] == "service_healthy"
            assert healthy or wanted["condition"] == "service_completed_successfully"
            assert healthy == (other in lasting)
    # Well above the 20 s in which a worker, or a supervisor of several, has always stopped.
    assert _seconds(services["worker"]["stop_grace_period"]) >= Timings().drain + 15
    # Where PostgreSQL 18's image keeps its data, in a folder of its major version.
    assert services["postgres"]["volumes"] == ["database:/var/lib/postgresql"]


def test_servers_without_tls_are_allowed_by_name(services: dict[str, dict[str, Any]]) -> None:
    """gistmill takes these URLs only because a setting says so."""
    for service in services.values():
        if "build" in service:
            environment = service["environment"]
            urls = {
                name: environment[f"GISTMILL_{name.upper()}"]
                for name in ("database_url", "broker_url")
            }
            refused = Settings.model_validate({**urls, "allow_insecure": False})
            assert len(list(exposure.found(refused))) == 2
            assert environment["GISTMILL_ALLOW_INSECURE"] == "true"


def test_a_file_has_one_path_everywhere(services: dict[str, dict[str, Any]]) -> None:
    uploads = {name: _mounts(services[name], "/srv/uploads") for name in ("api", "worker")}
    assert uploads == {"api": ["uploads:/srv/uploads"], "worker": ["uploads:/srv/uploads:ro"]}
    for name in ("worker", "producer"):
        (mount,) = [m for m in services[name]["volumes"] if isinstance(m, dict)]
        assert mount["source"] == mount["target"] == SECRETS["GISTMILL_DOCUMENTS"]


def test_images(services: dict[str, dict[str, Any]]) -> None:
    """Pinned, not run as root, and made of files that are there and alone are not ignored."""
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    linted = subprocess.run(
        [hadolint, compose.DOCKERFILE], capture_output=True, text=True, check=False
    )
    assert (linted.returncode, linted.stdout) == (0, "")
    for service in services.values():
        if "build" in service:
            user = compose.of_image(service["build"]["target"], "USER")
            assert user is not None
            assert int(user) > 0
        else:
            assert re.fullmatch(r"[a-z]+:\d+", service["image"])
    known = compose.stages()
    for stage in known.values():
        assert stage.parent in known or re.fullmatch(r"python:3\.\d+-slim", stage.parent)
    copied = {source for stage in known.values() for source in _copied(stage)}
    assert all((ROOT / source).exists() for source in copied)
    ignored, *others = (ROOT / ".dockerignore").read_text().splitlines()[1:]
    assert ignored == "*"
    assert {line for line in others if line.startswith("!")} == {f"!{name}" for name in copied}


def test_alive_means_here_and_of_late(database: Database) -> None:
    with database.transaction() as tx:
        workers.announce(tx, Presence("a", "worker", "here", 1, "cpu", "0"))
        workers.announce(tx, Presence("b", "worker", "there", 1, "cpu", "0"))
        assert workers.alive(tx, "worker", 60) == 2
        assert workers.alive(tx, "worker", 60, "here") == 1
        assert workers.alive(tx, "dispatcher", 60, "here") == 0
        tx.exec_driver_sql("UPDATE workers SET seen_at = seen_at - interval '61 s'")
        assert workers.alive(tx, "worker", 60, "here") == 0


def test_the_commands_do_a_job(deployment: Deployment) -> None:
    rows = [{"text": text} for text in sentences(8)]
    write_jsonl(deployment.documents / "night.jsonl", rows)
    redis = deployment.start("redis")
    eventually(lambda: deployment.healthy("redis"), "Redis is healthy")
    assert deployment.healthy("postgres")
    deployment.run("migrate")

    dispatcher = deployment.start("dispatcher")
    eventually(lambda: deployment.healthy("dispatcher"), "the dispatcher is healthy")
    assert not deployment.healthy("worker")
    worker = deployment.start("worker")
    eventually(lambda: deployment.healthy("worker"), "the worker is healthy")
    submit = ["submit", "night.jsonl", "--model", "lead-1", "--wait", "-q"]
    job_id = deployment.run("producer", *submit).strip()
    results = deployment.run("producer", "results", job_id).splitlines()
    assert [json.loads(row)["summary"] for row in results] == [
        f"Document {n} begins." for n in range(8)
    ]

    token = deployment.run("producer", "token", "create", "me").strip()
    api = deployment.start("api")
    eventually(lambda: deployment.healthy("api"), "the API is healthy")
    assert deployment.ask("/v1/jobs", token) == 200
    assert deployment.ask(f"/v1/jobs/{job_id}", token) == 404, "the command line's"
    assert deployment.ask("/v1/jobs", "another") == 401

    api.terminate()
    api.wait(PATIENCE)
    assert not deployment.healthy("api")
    for name, process in [("dispatcher", dispatcher), ("worker", worker), ("redis", redis)]:
        process.terminate()
        assert process.wait(PATIENCE) == 0
        assert not deployment.healthy(name)
    deployment.sockets = deployment.documents
    assert not deployment.healthy("postgres")


@pytest.fixture
def deployment(
    empty: Settings, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Deployment]:
    """A deployment of which nothing runs yet but PostgreSQL, without tables."""
    made = Deployment(empty, tmp_path)
    yield made
    made.stop()
    if made.log.exists():
        request.node.add_report_section("teardown", "deployment", made.log.read_text())


def _fits(*files: Path) -> bool:
    schema = ["--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *schema, *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0 or "commnd" in checked.stdout, checked.stdout + checked.stderr
    return checked.returncode == 0


def _copied(stage: compose.Stage) -> list[str]:
    """What a stage copies out of the repository."""
    values = [value.split() for name, value in stage.instructions if name in ("COPY", "ADD")]
    return [source for words in values if "--from" not in words[0] for source in words[:-1]]


def _mounts(service: dict[str, Any], folder: str) -> list[str]:
    return [mount for mount in service["volumes"] if isinstance(mount, str) and folder in mount]


def _seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))
