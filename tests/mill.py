"""A mill of a test's own: commands, dispatchers and workers as real processes.

Whatever a test starts is stopped at its end, by its process id, and its log is
part of the report of a test that fails.
"""

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import pytest

import gistmill
from jobs import settings
from jobs.settings import Settings
from producer.client import Client
from producer.job import Job, NobodyWorks

GISTMILL = [sys.executable, "-P", "-m", "gistmill"]

# What a busy machine of two cores may need for anything that a test waits for.
PATIENCE = 60.0

T = TypeVar("T")


def eventually(look: Callable[[], T | None], what: str, patience: float = PATIENCE) -> T:
    """What `look` returns as soon as that is true."""
    ends = time.monotonic() + patience
    while not (seen := look()):
        assert time.monotonic() < ends, f"not in {patience:g} s: {what}"
        time.sleep(0.05)
    return seen


@dataclass(frozen=True)
class Said:
    """What a command wrote."""

    stdout: str
    stderr: str


class Mill:
    """The processes of one test, all on the same database, broker and home."""

    def __init__(self, configured: Settings, logs: Path) -> None:
        self.settings = configured
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def client(self) -> Client:
        return Client(self.settings)

    def command(
        self, *words: str, stdin: str = "", expect: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run `gistmill WORDS` to its end, and see that it ended as expected."""
        ended = subprocess.run(
            [*GISTMILL, *words],
            input=stdin,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ended.returncode == expect, (ended.returncode, ended.stdout, ended.stderr)
        return ended

    def say(self, *words: str, stdin: str = "", expect: int = 0) -> Said:
        """As `command`, in this process: quicker, and good for all that needs no signals."""
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, self.environment()),
            patch.object(sys, "argv", ["gistmill", *words]),
            patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()))),
            redirect_stdout(out),
            redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            gistmill.main()
        said = Said(out.getvalue(), err.getvalue())
        assert ended.value.code == expect, (ended.value.code, said)
        return said

    def piped(self, stdin: str, *words: str) -> subprocess.Popen[bytes]:
        """Start `gistmill WORDS` with `stdin`, to be ended by `communicate`."""
        with tempfile.TemporaryFile() as given:
            given.write(stdin.encode())
            given.seek(0)
            return subprocess.Popen(
                [*GISTMILL, *words],
                stdin=given,
                stdout=subprocess.PIPE,
                env=self.environment(),
            )

    def start(
        self, name: str, *words: str, module: str = "gistmill", **more: str
    ) -> subprocess.Popen[bytes]:
        """Start `gistmill WORDS` in a session of its own; `more` are variables for it."""
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**self.environment(), **more},
                start_new_session=True,
            )
        self._running[name] = process
        return process

    def started(self, name: str) -> subprocess.Popen[bytes]:
        """What was started under that name last."""
        return self._running[name]

    def dispatcher(self) -> subprocess.Popen[bytes]:
        return self.start("dispatcher", "dispatch")

    def worker(self, name: str = "worker", **more: str) -> subprocess.Popen[bytes]:
        return self.start(name, "worker", "--device", "cpu", **more)

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log of a process, each line of which is an event in JSON."""
        return [json.loads(line) for line in self.log(name).read_text().splitlines()]

    def environment(self) -> dict[str, str]:
        quiet = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
        # Several may be up at once.
        quiet["GISTMILL_UP_PORT"] = "0"
        return settings.child_environment(self.settings, **quiet)

    def stop(self) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def logs(self) -> str:
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')}"
            for path in sorted(self._logs.glob("*.log"))
        )


def children(pid: int) -> list[int]:
    """The processes that `pid` started and that still run."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in listed.split()]


def pool_child(worker: subprocess.Popen[bytes]) -> int:
    """The child of a worker that does its work."""

    def look() -> int:
        for pid in children(worker.pid):
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        return 0

    return eventually(look, "a pool child")


def mentioning(text: str) -> list[int]:
    """The processes whose command line or environment holds `text`, this one left out."""
    return _processes(text, "cmdline", "environ")


def running(program: str) -> list[int]:
    """The processes whose command line holds `program`."""
    return _processes(program, "cmdline")


def _processes(text: str, *files: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            known = b"".join((folder / file).read_bytes() for file in files)
        except OSError:  # it has just ended
            continue
        if text.encode() in known and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def sentences(count: int) -> list[str]:
    """Documents of four sentences, each unlike the others."""
    return [
        f"Document {n} begins. It has a second sentence. It has a third. It ends with {n}."
        for n in range(count)
    ]


def wait(job: Job) -> str:
    """The status that the job ends with."""
    with warnings.catch_warnings():
        # Who was started a moment ago may not have said yet that it lives.
        warnings.simplefilter("ignore", NobodyWorks)
        return job.wait(PATIENCE).status


def closed_now() -> str:
    """A window that opens in hours: a job with it waits."""
    begins = datetime.now(UTC) + timedelta(hours=3)
    return f"{begins:%H:%M}-{begins + timedelta(hours=1):%H:%M} UTC"
