"""The JSONL reader: any line is a document or a bad document, never an exception."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.documents import Columns, from_line, from_mapping, storable
from jobs.errors import JobError, NotFound
from jobs.job import ModelKey, Shard
from jobs.parameters import Effective
from jobs.sources import jsonl
from producer.submit import from_python

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
        (b'{"body": "x"}', "missing_text"),
        (b'{"text": null}', "text_not_string"),
        (b'{"text": " \\n"}', "empty_document"),
    ],
)
def test_bad_lines(line: bytes, code: str) -> None:
    document = from_line(3, line, COLUMNS)
    assert document.error is not None
    assert document.error.code == code
    assert "document 3" in document.error.message


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
    source = jsonl.describe(path, COLUMNS)
    planned = list(jsonl.plan(source, size))
    found = [
        document
        for number, new in enumerate(planned)
        for document in jsonl.read(_leased(source, number, new.start, new.stop, new.position))
    ]
    filled = [line for line in lines if line.strip()]
    assert [document.index for document in found] == list(range(len(filled)))
    assert [document.error is None for document in found] == [line != "bad" for line in filled]
    assert all(new.stop - new.start == size for new in planned[:-1])


def test_a_changed_file_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "one"}\n')
    source = jsonl.describe(path, COLUMNS)
    jsonl.check(source)
    path.write_text('{"text": "two"}\n')
    with pytest.raises(JobError, match="changed"):
        jsonl.check(source)
    path.unlink()
    with pytest.raises(JobError, match="No such file"):
        jsonl.check(source)
    with pytest.raises(NotFound):
        jsonl.describe(path, COLUMNS)


def _leased(
    source: dict[str, object], number: int, start: int, stop: int, position: dict[str, int] | None
) -> Shard:
    return Shard(
        id=1,
        job_id="job_aaaaaaaaaaaa",
        number=number,
        start=start,
        stop=stop,
        position=position,
        attempt=1,
        deaths=0,
        tries=0,
        next_batch=(),
        source=source,
        key=ModelKey("lead-1", "1", "lead", None),
        effective=Effective(),
        fair_group="",
    )
