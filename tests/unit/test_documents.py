"""The JSONL reader: any line is a document or a bad document, never an exception."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.documents import Columns, from_line, from_mapping, storable
from jobs.errors import JobError, NotFound, TransientError, UsageError
from jobs.job import NewShard
from producer.submit import from_python
from tests import reading

COLUMNS = Columns("text", "id", "gold")


@given(st.binary())
def test_any_bytes(line: bytes) -> None:
    document = from_line(7, line, COLUMNS)
    assert document.index == 7
    assert (document.text is None) != (document.error is None)


@given(st.dictionaries(st.sampled_from(["text", "id", "gold"]), st.text() | st.integers()))
def test_any_object(value: dict[str, str | int]) -> None:
    document = from_line(0, json.dumps(value).encode(), COLUMNS)
    text = value.get("text")
    if isinstance(text, str) and text.strip():
        assert document.text == storable(text)
        assert document.error is None
    else:
        assert document.error is not None
    for stored in (document.text, document.id, document.reference):
        if stored is not None:
            stored.encode()
            assert "\x00" not in stored


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", "invalid_json"),
        (b"[1]", "invalid_json"),
        (b'{"text": "\xff"}', "invalid_utf8"),
        (b"[" * 100_000, "invalid_json"),
        (b"9" * 5_000, "invalid_json"),
        (b'{"text": "x", "id": ' + b"9" * 5_000 + b"}", "invalid_json"),
        (b'{"body": "x"}', "missing_text"),
        (b'{"text": null}', "text_not_string"),
        (b'{"text": " \\n"}', "empty_document"),
    ],
)
def test_bad_lines(line: bytes, code: str) -> None:
    document = from_line(3, line, COLUMNS)
    assert document.error is not None
    assert document.error.code == code
    assert document.error.message.startswith("document 3: ")
    in_a_file = from_line(3, line, COLUMNS, "line 6")
    assert in_a_file.error is not None
    assert in_a_file.error.message.startswith("line 6: ")


def test_what_sql_refuses_is_mended() -> None:
    document = from_mapping(0, {"text": "a\x00b\ud800c", "id": "\x00"}, COLUMNS)
    assert document.text == "a\ufffdb\ufffdc"
    assert document.id == "\ufffd"


def test_ids_become_strings() -> None:
    document = from_mapping(0, {"text": "x", "id": 12}, COLUMNS)
    assert document.id == "12"


def test_from_python_takes_strings_and_mappings() -> None:
    found = list(from_python(["x", {"text": "y"}], Columns()))
    assert [document.text for document in found] == ["x", "y"]
    with pytest.raises(Exception, match="document 0 is int"):
        list(from_python([3], Columns()))


@given(st.lists(st.sampled_from(["", "  ", '{"text": "one"}', "bad"])), st.integers(1, 4))
def test_shards_hold_every_line_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], size: int
) -> None:
    """Reading the shards one by one gives the non-blank lines, in order and once."""
    path = tmp_path_factory.mktemp("source") / "in.jsonl"
    path.write_text("\n".join(lines))
    source = reading.found(path, COLUMNS)
    planned = reading.planned(source, size)
    found = reading.read(source.source, planned)
    filled = [line for line in lines if line.strip()]
    assert [document.index for document in found] == list(range(len(filled)))
    bad = [f"line {number}" for number, line in enumerate(lines, 1) if line == "bad"]
    assert [d.error.message.partition(":")[0] for d in found if d.error] == bad
    assert all(new.stop - new.start == size for new in planned[:-1])


def test_a_changed_file_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "one"}\n')
    source = reading.found(path, COLUMNS).source
    reading.worker().check(source)
    path.write_text('{"text": "two"}\n')
    with pytest.raises(JobError, match="changed"):
        reading.worker().check(source)
    path.unlink()
    with pytest.raises(JobError, match="No such file"):
        reading.worker().check(source)
    with pytest.raises(NotFound):
        reading.found(path, COLUMNS)


def test_shards_cut_before_positions_held_lines(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "one"}\nbad\n')
    source = reading.found(path, COLUMNS).source
    [document, bad] = reading.read(source, [NewShard(0, 2, {"begin": 0, "end": 20})])
    assert document.text == "one"
    assert bad.error is not None
    assert bad.error.message.startswith("document 1: ")


def test_a_disk_in_trouble_is_tried_again(tmp_path: Path) -> None:
    """Linux opens this file, and then answers each read with an error."""
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "one"}\n')
    source = {**reading.found(path, COLUMNS).source, "path": "/proc/self/mem"}
    with pytest.raises(TransientError, match="/proc/self/mem: Input/output error"):
        reading.worker().check(source)
    with pytest.raises(NotFound, match="/proc/self/mem: Input/output error"):
        reading.found(Path(source["path"]), COLUMNS)


def test_what_can_be_read_but_once_is_refused_untouched(tmp_path: Path) -> None:
    end, writing = os.pipe()
    os.write(writing, b'{"text": "one"}\n')
    os.close(writing)
    with pytest.raises(UsageError, match="write - for a pipe"):
        reading.found(Path(f"/dev/fd/{end}"), COLUMNS)
    assert os.read(end, 100) == b'{"text": "one"}\n'
    os.close(end)


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.jsonl")
    path.write_text('{"text": "one"}\n')
    with pytest.raises(UsageError, match=r"\uFFFD\.jsonl: its name is not UTF-8"):
        reading.found(path, COLUMNS)
