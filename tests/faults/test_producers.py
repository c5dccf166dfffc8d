"""Who submits and who dispatches, killed at the worst moments.

A job that was committed is done; one that was not does not exist, and can be submitted again.
"""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.commands import SUBMIT, lines
from tests.faults.ground import Ground
from tests.faults.ledger import Entry
from tests.faults.producer import VARIABLE, Blow, Place
from tests.mill import PATIENCE, eventually


@pytest.mark.short
def test_submission_killed_before_its_commit(ground: Ground, tmp_path: Path) -> None:
    """SIGKILL of a submission before its commit: nothing half-made, and submitted again."""
    entries = ground.ledger.write(40)
    _killed_in_submit(ground, tmp_path, entries, "one", "submitting")
    for table in ("jobs", "shards", "documents"):
        assert ground.look(f"SELECT count(*) FROM {table}") == 0
    ground.mill.dispatcher()
    ground.worker()
    ground.fault()
    ground.ledger.submitted(_submitted(ground, tmp_path, entries, "one"), entries)
    ground.settle(waste=0)


def test_submission_killed_before_it_sends(ground: Ground, tmp_path: Path) -> None:
    """SIGKILL of a submission between commit and send: its job is done, and is there once."""
    entries = ground.ledger.write(40)
    _killed_in_submit(ground, tmp_path, entries, "one", "sending")
    job_id = ground.look("SELECT id FROM jobs WHERE name = 'one'")
    ground.ledger.submitted(job_id, entries)
    assert _submitted(ground, tmp_path, entries, "one") == job_id
    ground.worker()
    ground.mill.dispatcher()
    ground.fault()
    ground.settle(waste=0)


def test_submission_killed_while_it_sends(ground: Ground, tmp_path: Path) -> None:
    """SIGKILL of submissions in the middle of sending, several times."""
    ground.worker()
    ground.submit(300, shard_size=8)
    running = "SELECT count(*) FROM jobs WHERE status = 'in_progress'"
    eventually(lambda: ground.look(running) == 1, "it is validated")
    for name in ("one", "two", "three"):
        entries = ground.ledger.write(ground.dice.randint(1, 40))
        after = ground.dice.randint(1, 3)
        _killed_in_submit(ground, tmp_path, entries, name, "sending", after)
        job_id = ground.look("SELECT id FROM jobs WHERE name = %s", name)
        ground.ledger.submitted(job_id, entries)
    ground.mill.dispatcher()
    ground.fault()
    ground.settle(waste=0)


def test_dispatcher_killed_while_it_sends(ground: Ground, tmp_path: Path) -> None:
    """SIGKILL of dispatchers before and in the middle of sending, several times."""
    ground.worker()
    ground.submit(200, shard_size=4)
    for number in range(4):
        place: Place = ground.dice.choice(["dispatching", "sending", "sending"])
        after = ground.dice.randint(0, 5) if place == "sending" else 0
        blow = Blow(place=place, signal=signal.SIGKILL, after=after, mark=tmp_path / f"d{number}")
        dispatcher = _start(ground, f"dispatcher-{number}", blow)
        dispatcher.wait(PATIENCE)
        _dead(ground, dispatcher)
        ground.fault()
    ground.mill.dispatcher()
    ground.fault()
    ground.settle(waste=0)


def _start(ground: Ground, name: str, blow: Blow) -> subprocess.Popen[bytes]:
    variables = {VARIABLE: blow.model_dump_json()}
    return ground.mill.start(name, "dispatch", module="tests.faults.producer", **variables)


def _killed_in_submit(
    ground: Ground, folder: Path, entries: list[Entry], name: str, place: Place, after: int = 0
) -> None:
    blow = Blow(place=place, signal=signal.SIGKILL, after=after, mark=folder / f"{name}.mark")
    submission = _submit(ground, folder, entries, name, blow)
    submission.communicate(timeout=PATIENCE)
    _dead(ground, submission)


def _submitted(ground: Ground, folder: Path, entries: list[Entry], name: str) -> str:
    """The id of the job that a whole submission gives."""
    submission = _submit(ground, folder, entries, name)
    out, _ = submission.communicate(timeout=PATIENCE)
    assert submission.returncode == 0
    return out.strip()


def _submit(
    ground: Ground, folder: Path, entries: list[Entry], name: str, blow: Blow | None = None
) -> subprocess.Popen[str]:
    """Start a submission from standard input, under an idempotency key."""
    given = folder / f"{name}.txt"
    given.write_text(lines(entries))
    module = "tests.faults.producer" if blow else "gistmill"
    names = ["--name", name, "--idempotency-key", name]
    orders = {VARIABLE: blow.model_dump_json()} if blow else {}
    with given.open() as stdin:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", module, *SUBMIT, *names],
            stdin=stdin,
            stdout=subprocess.PIPE,
            text=True,
            env={**ground.mill.environment(), **orders},
        )


def _dead(ground: Ground, process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    assert process.returncode == -signal.SIGKILL
    ground.kills += 1
