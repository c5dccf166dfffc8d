"""What users get wrong with their files: one clear line for each, and no document lost."""

import gzip
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import columns, sources
from jobs.documents import Columns, from_line
from jobs.errors import GistmillError, NotFound, UsageError
from jobs.sources.asked import Asked
from tests import reading
from tests.reading import ANYWHERE


def refused(location: Path | str, kind: type[GistmillError] = UsageError) -> str:
    with pytest.raises(kind) as caught:
        reading.planned(sources.describe(str(location), Asked(columns.Asked()), ANYWHERE), 9)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("ending", "content"),
    [("jsonl", b'{"document": "a", "id": 1}\n'), ("csv", b"document,id\na,1\n")],
)
def test_an_empty_first_file_does_not_tell_the_columns(
    tmp_path: Path, ending: str, content: bytes
) -> None:
    (tmp_path / f"0.{ending}").touch()
    (tmp_path / f"1.{ending}").write_bytes(content)
    found = sources.describe(str(tmp_path), Asked(columns.Asked()), ANYWHERE)
    shards = reading.planned(found, 9)
    assert found.source["columns"]["text"] == "document"
    assert [document.text for document in reading.read(found.source, shards)] == ["a"]


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    table = pa.table([["a"], ["b"]], names=["text", "text"])
    pq.write_table(table, tmp_path / "in.parquet")
    with pa.ipc.new_file(str(tmp_path / "in.arrow"), table.schema) as written:
        written.write_table(table)
    for name in ("in.parquet", "in.arrow"):
        assert refused(tmp_path / name).endswith("several columns 'text'; rename all but one")


def test_what_is_compressed_and_can_not_be_read_so(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "in.parquet")
    packed = tmp_path / "in.parquet.gz"
    packed.write_bytes(gzip.compress((tmp_path / "in.parquet").read_bytes()))
    assert "decompress the file" in refused(packed)


def test_utf_16_is_refused_whole(tmp_path: Path) -> None:
    """And never read by line: some lines could be, by chance."""
    path = tmp_path / "in.jsonl"
    path.write_bytes('{"text": "a"}\n{"text": "b"}\n'.encode("utf-16"))
    assert "iconv" in refused(path)
    line = '{"text": "a"}'.encode("utf-16-le")
    error = from_line(0, line, Columns()).error
    assert error is not None
    assert error.code == "invalid_json"


def test_a_json_array(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text('[{"text": "a"}]')
    assert "jq -c '.[]'" in refused(path)


def test_csv_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b'text,id\n"a,1\nb,2\n')
    assert "line 2: a quote that is opened is never closed" in refused(path)


@pytest.mark.parametrize("splits", ["5", "[1]", "null"])
def test_a_damaged_list_of_splits(tmp_path: Path, splits: str) -> None:
    (tmp_path / "dataset_dict.json").write_text(f'{{"splits": {splits}}}')
    assert "not what save_to_disk writes" in refused(tmp_path)


def test_a_name_that_is_none() -> None:
    assert "it is empty" in refused("")
    assert "too long" in refused("./" + "x" * 5000, NotFound)
    assert "no URL" in refused("http://[::1/x.jsonl")
    assert "three slashes" in refused("file://in.jsonl")


def test_a_question_mark_in_the_url_of_a_file_is_of_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b'{"text": "a"}\n')
    found = reading.found(f"file://{tmp_path}/i?.jsonl", Columns())
    assert len(list(found.files)) == 1


def test_a_split_of_a_url() -> None:
    with pytest.raises(UsageError, match="--split is for datasets"):
        sources.describe("s3://b/in.jsonl", Asked(columns.Asked(), split="train"), ANYWHERE)


def test_a_folder_within_that_can_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files would be missing, and nobody would know."""
    (tmp_path / "in.jsonl").write_bytes(b'{"text": "a"}\n')
    (tmp_path / "closed").mkdir()
    listed = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert "closed: Permission denied" in refused(tmp_path, NotFound)
