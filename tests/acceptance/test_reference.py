"""The reference of commands is what the code says, and every example in it can be typed."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from docs import reference
from tests import hub, s3
from tests.mill import PATIENCE, Mill, eventually, sentences, write_jsonl

EXAMPLES = {name: reference.examples(command) for name, command in reference.commands()}

# Commands that run until they are stopped; each is started and stopped.
SERVERS = ("up", "worker", "dispatch", "serve")
READY = re.compile("is ready|gistmill serves http")
# Commands that need a job that is not over.
ON_A_WAITING_JOB = ("pause", "resume", "priority", "cancel")
# Commands whose examples tests/acceptance/test_showing_models.py types, before a hub.
ASK_A_HUB = [name for name in EXAMPLES if name.split()[0] in ("models", "datasets")]
# What the others end with, where that is not 0.
ENDS = {"wait": 3, "watch": 3}
NEEDS_A_HUB = "facebook/bart-large-cnn"


def test_the_reference_is_up_to_date() -> None:
    assert reference.COMMANDS.read_text() == reference.page(), "run: make docs"
    text = reference.README.read_text()
    assert text == reference.readme(text), "run: make docs"
    assert f"`{next(iter(EXAMPLES))}`" in text


def test_every_command_has_an_example() -> None:
    assert [name for name, lines in EXAMPLES.items() if not lines] == []


class Shell:
    """Types lines as a user does, in a folder with the files that the examples name."""

    def __init__(self, mill: Mill, folder: Path, elsewhere: Mapping[str, str]) -> None:
        self.mill = mill
        self.folder = folder
        text = [{"text": each} for each in sentences(4)]
        write_jsonl(folder / "papers.jsonl", [*text, {"txt": "no text"}])
        (folder / "notes.txt").write_text("One. Two.\nThree. Four.\n")
        (folder / "article.txt").write_text("One. Two. Three. Four.")
        (folder / "night.toml").write_text('[submit]\nmodel = "lead-3"\n')
        (folder / ".config/fish/completions").mkdir(parents=True)
        bin_folder = str(Path(sys.executable).parent)
        self.environment = {
            **mill.environment(),
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            **elsewhere,
        }

    def type(self, line: str, expect: int = 0, job: str = "") -> str:
        for name, there in {"JOB": job, "OTHER": job, "ORG/NAME": "me/papers"}.items():
            line = line.replace(name, there)
        ended = subprocess.run(
            ["/bin/bash", "-c", line],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )
        assert ended.returncode == expect, (line, ended.returncode, ended.stdout, ended.stderr)
        return ended.stdout


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The hub and the bucket that examples name: what finds them, in the environment."""
    documents = parquet_file(tmp_path / "xsum" / "data" / "test-00000.parquet")
    uploads = hub.Uploads(tmp_path / "pushed", hub.TOKEN)
    uploads.repositories["datasets/EdinburghNLP/xsum"] = tmp_path / "xsum"
    with (
        hub.serve(uploads.repositories, uploads.said, uploads=uploads) as url,
        s3.store() as store,
    ):
        store.put("2026/papers.parquet", documents.read_bytes())
        home = tmp_path / "hub"
        yield {**hub.environment(url, home), **store.environment, "HF_TOKEN": hub.TOKEN}


def parquet_file(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    parquet.write_table(pa.table({"document": sentences(3), "summary": ["One."] * 3}), path)
    return path


@pytest.fixture
def shell(mill: Mill, tmp_path: Path, elsewhere: dict[str, str]) -> Shell:
    return Shell(mill, tmp_path, elsewhere)


@pytest.mark.timeout(300)
def test_every_example_but_those_that_run_for_ever(shell: Shell) -> None:
    mill = shell.mill
    mill.dispatcher()
    mill.worker()
    over = shell.type("gistmill submit papers.jsonl --model lead-1 -q").strip()
    opens = datetime.now(UTC) + timedelta(hours=12)
    hours = f"{opens:%H:%M}-{opens + timedelta(minutes=1):%H:%M} UTC"
    waiting = shell.type(
        f'gistmill submit papers.jsonl --model lead-1 -q --window "{hours}"'
    ).strip()
    mill.command("wait", over, "-q", expect=3)
    with mill.client() as client:
        eventually(lambda: client.job(waiting).status().status == "in_progress", "validation")
    for name in ON_A_WAITING_JOB:
        for line in EXAMPLES[name]:
            shell.type(line, job=waiting)
    for line in EXAMPLES["token create"]:  # before one of them is revoked
        shell.type(line)
    done = {*ON_A_WAITING_JOB, *SERVERS, *ASK_A_HUB, "migrate", "demo", "token create"}
    for name in EXAMPLES.keys() - done:
        for line in EXAMPLES[name]:
            if "zsh" in line:  # for another shell than the one that types here
                line = "gistmill completion zsh"
            refused = name == "text" and NEEDS_A_HUB in line
            shell.type(line, expect=1 if refused else ENDS.get(name, 0), job=over)
            if name == "retry":
                mill.command("wait", over, "-q", expect=3)


def test_every_example_of_migrate(shell: Shell) -> None:
    """In an order that leaves tables to look at."""
    for line in sorted(EXAMPLES["migrate"]):
        shell.type(line)
        shell.type("gistmill migrate")


@pytest.mark.timeout(300)
def test_the_demo(shell: Shell) -> None:
    [line] = EXAMPLES["demo"]
    shown = shell.type(line)
    assert "ROUGE-1" in shown
    assert "4 summaries" in shown
    # It has left the packaged model where others find it.
    text = "The river rose by two metres and the old bridge was closed to all traffic."
    words = f"text '{text}' --model smollm2-135m --max-new-tokens 24"
    summary = shell.type(f"GISTMILL_HOME=.demo gistmill {words}")
    assert len(summary.split()) > 3


@pytest.mark.parametrize("name", SERVERS)
def test_examples_that_run_for_ever(shell: Shell, name: str) -> None:
    shell.mill.say("token", "create", "nightly")  # for one that others may reach
    for number, line in enumerate(EXAMPLES[name]):
        words = line.removeprefix("gistmill ").split()
        process = shell.mill.start(f"{name}-{number}", *words, GISTMILL_SERVE_PORT="0")
        log = shell.mill.log(f"{name}-{number}")
        eventually(lambda log=log: READY.search(log.read_text()), line)  # type: ignore[misc]
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE) == 0
