"""One job's results through the command line in every format, and where none can be written."""

import csv
import io
import json
import subprocess
from pathlib import Path

import pyarrow.parquet

from tests.mill import GISTMILL, Mill

LINES = """\
{"text": "He said \\"ja, \u0142adnie\\" \U0001f686; then left."}
no json
{"text": "One. Two."}
"""


def test_every_format(mill: Mill, tmp_path: Path) -> None:
    mill.dispatcher()
    mill.worker()
    submitted = mill.command("submit", "-", "--model", "lead-1", "-q", stdin=LINES)
    job_id = submitted.stdout.strip()
    mill.command("wait", job_id, "-q", expect=3)

    rows = [json.loads(line) for line in mill.command("results", job_id).stdout.splitlines()]
    assert rows[0]["summary"] == 'He said "ja, \u0142adnie" \U0001f686; then left.'
    assert rows[1]["error"]["code"] == "invalid_json"

    printed = mill.command("results", job_id, "--format", "csv").stdout
    table = list(csv.DictReader(io.StringIO(printed)))
    assert [row["summary"] for row in table] == [row["summary"] or "" for row in rows]
    assert [row["error_code"] for row in table] == ["", "invalid_json", ""]

    out = tmp_path / "out.parquet"
    assert "3 rows of parquet" in mill.command("results", job_id, "-o", str(out)).stderr
    assert pyarrow.parquet.read_table(out).to_pylist() == rows

    with mill.client() as client:
        assert client.job(job_id).save(tmp_path / "out.csv") == 3
    assert (tmp_path / "out.csv").read_bytes().decode().replace("\r\n", "\n") == printed

    refused = mill.command("results", job_id, "--format", "parquet", expect=2)
    assert "-o out.parquet" in refused.stderr
    assert _said(mill, f"results {job_id} > /dev/full") == (
        "gistmill: standard output: No space left on device; not all rows were written\n"
    )
    assert _said(mill, f"results {job_id} -o /dev/full", code=2).count("\n") == 1


def _said(mill: Mill, words: str, code: int = 5) -> str:
    """What `gistmill WORDS` in a shell says as it fails."""
    ended = subprocess.run(
        ["/bin/sh", "-c", f"{' '.join(GISTMILL)} {words}"],
        env=mill.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    return ended.stderr
