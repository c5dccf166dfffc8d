"""Results that find no room, or must not be written: what stood there stands, one line says why.

The job goes on meanwhile, as if nobody had asked.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.ground import Ground
from tests.mill import GISTMILL, PATIENCE

FORMATS = ("jsonl", "csv", "parquet")

# As `gistmill results JOB --format FORMAT -o FILE`, from Python.
_SAVE = """
import sys
from jobs.errors import GistmillError
from producer.client import Client
job, form, path = sys.argv[1:]
try:
    Client().job(job).save(path, form)
except GistmillError as error:
    sys.exit(print(f"gistmill: {error}", file=sys.stderr) or error.exit_code)
"""

# In a namespace of its own: a file system of two pages, of which the old file takes one. What
# is left on it in the end goes to standard output.
_SMALL_DISK = """
set -e
mount -t tmpfs -o size=8k none "$1"
cd "$1"; options=$2; shift 2
printf before > out
mount -o "remount,$options" none "$PWD"
set +e
"$@"
code=$?
ls -A
cat out
exit $code
"""


def test_no_file_may_grow(ground: Ground, tmp_path: Path) -> None:
    """A limit on the size of files, and a full standard output, on export."""
    job_id = _half_done(ground)
    for form in FORMATS:
        path = tmp_path / form / "out"
        path.parent.mkdir()
        path.write_text("before")
        limited = ["sh", "-c", 'ulimit -f 4; exec "$@"', "sh"]
        ended = _run(ground, *limited, *_results(job_id, form, path))
        _refused(ended, f"{path}: File too large; nothing was written")
        assert path.read_text() == "before"
        assert [each.name for each in path.parent.iterdir()] == ["out"]
    full = ["sh", "-c", 'exec "$@" > /dev/full', "sh"]
    for form in ("jsonl", "csv"):
        ended = _run(ground, *full, *GISTMILL, "results", job_id, "--format", form)
        _refused(ended, "standard output: No space left on device; not all rows were written")
    ended = _run(ground, *full, *GISTMILL, "status", job_id)
    _refused(ended, "No space left on device; not all was written")
    _goes_on(ground, job_id, tmp_path)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("options", "says"),
    [("rw", "No space left on device"), ("ro", "Read-only file system")],
    ids=["full", "read-only"],
)
def test_no_room_on_the_disk(ground: Ground, tmp_path: Path, options: str, says: str) -> None:
    """A disk that is full, or read-only, on export."""
    unshared = _namespace()
    job_id = _half_done(ground)
    for form in FORMATS:
        for command in (_results, _save):
            words = command(job_id, form, tmp_path / "out")
            disk = [*unshared, "sh", "-c", _SMALL_DISK, "sh", str(tmp_path), options]
            ended = _run(ground, *disk, *words)
            _refused(ended, f"{tmp_path / 'out'}: {says}; nothing was written")
            assert ended.stdout == "out\nbefore"
    _goes_on(ground, job_id, tmp_path)


def _half_done(ground: Ground) -> str:
    ground.mill.dispatcher()
    ground.worker(seconds=0.04, batch=16)
    job = ground.submit(320, shard_size=64)
    ground.progress(150)
    ground.fault()
    return job.id


def _goes_on(ground: Ground, job_id: str, tmp_path: Path) -> None:
    ground.settle(waste=0)
    path = tmp_path / "whole.jsonl"
    ground.mill.command("results", job_id, "-o", str(path))
    assert len(path.read_text().splitlines()) == 320


def _results(job_id: str, form: str, path: Path) -> list[str]:
    return [*GISTMILL, "results", job_id, "--format", form, "-o", str(path)]


def _save(job_id: str, form: str, path: Path) -> list[str]:
    return [sys.executable, "-P", "-c", _SAVE, job_id, form, str(path)]


def _run(ground: Ground, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        env=ground.mill.environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def _refused(ended: subprocess.CompletedProcess[str], says: str) -> None:
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"gistmill: {says}")
    assert ended.returncode == 5


def _namespace() -> list[str]:
    """The words before a command that may mount, whoever we are."""
    words = ["unshare", "--mount"]
    if os.geteuid() != 0:
        words.append("--map-root-user")
    mounts = [*words, "mount", "-t", "tmpfs", "none", "/mnt"]
    if shutil.which("unshare") is None or subprocess.run(mounts, check=False).returncode:
        pytest.skip("only who may mount in a namespace of its own can fill a disk here")
    return words
