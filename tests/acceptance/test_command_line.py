"""What the command line says and ends with when something is wrong, and what it never imports."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mill import GISTMILL, PATIENCE, Mill, eventually, sentences, write_jsonl


@pytest.fixture
def source(tmp_path: Path) -> str:
    return str(write_jsonl(tmp_path / "in.jsonl", [{"text": text} for text in sentences(3)]))


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["submit", "nowhere.jsonl", "--model", "lead-1"], 5, "nowhere.jsonl"),
        (["submit", "{source}", "{source}", "--model", "lead-1"], 2, "put a pattern in quotes"),
        (["ls", "--label", "a=b"], 0, "no job with these labels"),
        (["submit", "{source}", "--model", "lead-1", "--generate", "x"], 2, "key=value"),
        (["submit", "{source}", "--model", "lead-1", "--generate", "num_beams=3"], 2, "num_beams"),
        (["submit", "{source}", "--model", "lead-1", "--generate", "top_p=NaN"], 2, "top_p: nan"),
        (["submit", "{source}", "--model", "lead-1", "--num-beams", "0"], 2, "num_beams"),
        (["submit", "{source}", "--model", "lead-1", "--name", "\udcff"], 2, "name: holds NUL"),
        (["submit", "{source}", "--model", "lead-1", "--label", "a=\udcff"], 2, "label a: holds"),
        (["submit", "{source}", "--model", "lead-1", "--shard-size", "9" * 11], 2, "1,000,000"),
        (["status", "\udcff"], 5, "no job"),
        (
            ["submit", "{source}", "--model", "lead-1", "--min-length", "9", "--max-length", "5"],
            2,
            "min_length 9 is above max_length 5",
        ),
        (["submit", "{source}", "--model", "lead-1", "--engine", "magic"], 2, "transformers"),
        (["submit", "{source}", "--model", "lead-1", "--dtype", "int3"], 2, "bfloat16"),
        (["submit", "{source}", "--model", "lead-1", "--shard-size", "0"], 2, "shard size"),
        (["submit", "{source}", "--model", "lead-1", "--lines"], 2, "submit - --lines < {source}"),
        (["submit", "-", "--model", "lead-1", "--lines"], 2, "it is empty, or blank lines alone"),
        (
            ["submit", "{source}", "--model", "lead3"],
            2,
            "lead3: no such model; did you mean lead-3",
        ),
        (["submit", "{source}", "--model", "./none"], 2, "./none: no such folder: /"),
        (
            ["submit", "{source}", "--model", "org/name", "--generate", "do_sampel=true"],
            2,
            "do_sampel: not a generation parameter that a job can set; did you mean do_sample?",
        ),
        (["submit", "{source}", "--model", "a/b", "--generate", "top_k=all"], 2, "(got 'all')"),
        (
            ["submit", "{source}", "--model", "lead-1", "--num-beams", "4"],
            2,
            "num_beams: lead-1 generates nothing",
        ),
        (["submit", "{source}", "--model", "lead-1", "--prompt", "x"], 2, "reads no prompt"),
        (["submit", "-", "--model", "lead-1"], 2, "no document"),
        (["status", "job_nowhere"], 5, "no job"),
        (["status", ""], 2, "name a job by its id"),
        (["results", "job_nowhere"], 5, "no job"),
        (["wait", "job_nowhere"], 5, "no job"),
        (["worker", "--device", "tpu"], 2, "cuda:N"),
        (["sumbit"], 2, "sumbit"),
    ],
)
def test_one_line_and_no_traceback(
    mill: Mill, source: str, words: list[str], code: int, says: str
) -> None:
    ended = mill.say(*(word.format(source=source) for word in words), expect=code)
    assert says.format(source=source) in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_an_ambiguous_prefix(mill: Mill, source: str) -> None:
    for _ in range(2):
        mill.say("submit", source, "--model", "lead-1", "-q")
    assert "several" in mill.say("status", "job_", expect=2).stderr


def test_nobody_works_and_it_says_so(mill: Mill, source: str) -> None:
    submitted = mill.say("submit", source, "--model", "lead-1")
    job_id = submitted.stdout.strip()
    assert "no dispatcher and no worker" in submitted.stderr
    assert f"3 documents, model lead-1; follow it with: gistmill watch {job_id}" in submitted.stderr
    assert "gistmill up" in mill.say("status", job_id).stderr
    waited = mill.say("wait", job_id, "--timeout", "0.2", expect=124)
    assert "goes on" in waited.stderr
    partial = mill.command("results", job_id)
    assert partial.stdout == ""
    assert f"0 rows so far; {job_id} is validating" in partial.stderr


def test_a_database_that_is_down(mill: Mill, source: str) -> None:
    mill.settings = mill.settings.model_copy(
        update={"database_url": "postgresql://gistmill:secret@127.0.0.1:1/none"}
    )
    ended = mill.command("submit", source, "--model", "lead-1", expect=5)
    assert "127.0.0.1:1" in ended.stderr
    assert "secret" not in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("GISTMILL_BROKER_URL", "redis://:s3c/ret@127.0.0.1:6379/0"),
        ("GISTMILL_BROKER_URL", "amqp://s3c/ret@127.0.0.1"),
        ("GISTMILL_DATABASE_URL", "postgresql://u:s3c/ret@127.0.0.1:port/db"),
    ],
)
def test_a_bad_url_is_told_without_its_password(mill: Mill, name: str, url: str) -> None:
    changed = {name.removeprefix("GISTMILL_").lower(): url}
    mill.settings = mill.settings.model_copy(update=changed)
    said = mill.command("doctor", expect=2).stderr
    assert "percent-encoded" in said
    assert "s3c" not in said


def test_a_broker_that_is_down(mill: Mill, source: str) -> None:
    """The job is accepted with a warning, and runs once the broker is back."""
    up = mill.settings
    mill.settings = up.model_copy(update={"broker_url": "redis://:secret@127.0.0.1:1/0"})
    submitted = mill.command("submit", source, "--model", "lead-1", "-q")
    assert "accepted" in submitted.stderr
    assert "secret" not in submitted.stderr
    mill.settings = up
    mill.dispatcher()
    mill.worker()
    mill.command("wait", submitted.stdout.strip(), "-q")


def test_a_source_that_changed(mill: Mill, source: str) -> None:
    job_id = mill.command("submit", source, "--model", "lead-1", "-q").stdout.strip()
    Path(source).write_text('{"text": "Something else."}\n')
    mill.dispatcher()
    mill.worker()
    ended = json.loads(mill.command("wait", job_id, "--json", expect=1).stdout)
    assert ended["error"]["code"] == "source_changed"
    assert ended["finished_at"]


def test_ctrl_c_while_waiting_leaves_the_job(mill: Mill, source: str) -> None:
    waiting = mill.start("submit", "submit", source, "--model", "lead-1", "--wait")
    eventually(lambda: "Ctrl-C is safe" in mill.log("submit").read_text(), "waiting")
    [job_id] = mill.say("ls", "-q").stdout.split()
    os.killpg(waiting.pid, signal.SIGINT)
    assert waiting.wait(PATIENCE) == 130
    said = mill.log("submit").read_text()
    assert "follow it with" not in said
    assert "Traceback" not in said
    assert json.loads(mill.say("status", job_id, "--json").stdout)["status"] == "validating"


def test_results_onto_what_can_not_be_written(mill: Mill, source: str, tmp_path: Path) -> None:
    job_id = mill.command("submit", source, "--model", "lead-1", "-q").stdout.strip()
    missing = tmp_path / "missing" / "out.jsonl"
    assert "writable" in mill.command("results", job_id, "-o", str(missing), expect=5).stderr


def test_a_reader_who_has_had_enough(mill: Mill) -> None:
    lines = "\n".join(f'{{"text": "Document {n} ends."}}' for n in range(3000))
    mill.dispatcher()
    mill.worker()
    job_id = mill.command("submit", "-", "--model", "lead-1", "-q", stdin=lines).stdout.strip()
    mill.command("wait", job_id, "-q")
    words = " ".join([*GISTMILL, "results", job_id])
    piped = subprocess.run(
        ["/bin/sh", "-c", f"{words} | head -n 1"],
        env=mill.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(piped.stdout)["index"] == 0
    assert piped.stderr == ""


def test_one_text_needs_no_services(tmp_path: Path) -> None:
    nowhere = {
        "GISTMILL_HOME": str(tmp_path / "home"),
        "GISTMILL_DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "GISTMILL_BROKER_URL": "redis://127.0.0.1:1/0",
    }

    def text(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*GISTMILL, "text", *words],
            env={**os.environ, **nowhere},
            input="One. Two. Three.",
            capture_output=True,
            text=True,
            check=False,
        )

    done = text("--model", "lead-2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "One. Two.\n", "")
    failed = text("x", "--model", "lead-2", "--num-beams", "4")
    says = "gistmill: num_beams: lead-2 generates nothing; leave it out\n"
    assert (failed.returncode, failed.stdout, failed.stderr) == (1, "", says)
    assert not (tmp_path / "home").exists()


def test_a_reader_who_reads_nothing(mill: Mill, source: str) -> None:
    """However little there is to read, and to whichever command."""
    mill.command("submit", source, "--model", "lead-1", "-q")
    script = f"{' '.join(GISTMILL)} ls --json | true; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(
        ["/bin/bash", "-c", script],
        env=mill.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("words", [["--help"], ["config"]])
def test_a_full_standard_output(mill: Mill, words: list[str]) -> None:
    """Of whatever command: one line, and no defect of ours."""
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [*GISTMILL, *words],
            stdout=full,
            stderr=subprocess.PIPE,
            env=mill.environment(),
            timeout=PATIENCE,
            check=False,
        )
    (line,) = ended.stderr.decode().splitlines()
    assert line.startswith("gistmill: No space left on device; not all was written; make room")
    assert ended.returncode == 5


def test_help_is_light() -> None:
    """`--help` and completion import none of the heavy packages."""
    heavy = {"torch", "transformers", "datasets", "celery", "sqlalchemy", "structlog"}
    code = (
        "import sys, gistmill\n"
        "try: gistmill._cli(['--help'], standalone_mode=False)\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert "submit" in ended.stdout
    assert heavy.isdisjoint(ended.stderr.split())


def test_the_producer_needs_no_torch(mill: Mill, source: str) -> None:
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['torch', 'transformers', 'worker']))\n"
        f"import gistmill; gistmill._cli(['submit', {source!r}, '--model', 'lead-1'])"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=mill.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("job_")


@pytest.mark.parametrize("name", ["jobs", "worker", "migrations"])
def test_a_neighbour_of_the_same_name(tmp_path: Path, name: str) -> None:
    """A user's own `jobs` on the path is named, not imported."""
    intruder = tmp_path / name
    intruder.mkdir()
    (intruder / "__init__.py").touch()
    ended = subprocess.run(
        [sys.executable, "-c", "import gistmill"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert str(intruder) in ended.stderr
