"""What is written in each format is what is read back from it."""

import csv
import io
import json
from typing import Any, BinaryIO

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer import formats
from producer.formats import Writer

DONE: dict[str, Any] = {
    "index": 0,
    "id": "a,1",
    "summary": 'Two\nlines, "quotes"; Größe 🚆 \u2028 and\r\na third.',
    "input_tokens": 12,
    "output_tokens": 3,
    "truncated": True,
    "finish_reason": "length",
    "depth": 1,
    "spans": [[0, 12], [10, 30]],
    "error": None,
    "reference": "",
}
FAILED: dict[str, Any] = {
    "index": 2**40,
    "id": None,
    "summary": None,
    "input_tokens": 0,
    "output_tokens": 0,
    "truncated": False,
    "finish_reason": None,
    "depth": 0,
    "spans": None,
    "error": {"code": "invalid_json", "message": "document 1: not JSON"},
    "reference": None,
}


def written(writer: Writer, rows: list[dict[str, Any]]) -> BinaryIO:
    out = io.BytesIO()
    assert writer(iter(rows), out) == len(rows)
    return io.BytesIO(out.getvalue())


def read_csv(file: BinaryIO) -> list[dict[str, str]]:
    return list(csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline="")))


def test_jsonl() -> None:
    lines = written(formats.write_jsonl, [DONE, FAILED]).read().splitlines()
    assert [json.loads(line) for line in lines] == [DONE, FAILED]
    assert "Größe 🚆".encode() in lines[0]


def test_csv() -> None:
    done, failed = read_csv(written(formats.write_csv, [DONE, FAILED]))
    assert done == {
        "index": "0",
        "id": "a,1",
        "summary": DONE["summary"],
        "input_tokens": "12",
        "output_tokens": "3",
        "truncated": "true",
        "finish_reason": "length",
        "depth": "1",
        "spans": "[[0, 12], [10, 30]]",
        "error_code": "",
        "error_message": "",
        "reference": "",
    }
    assert (failed["error_code"], failed["error_message"]) == tuple(FAILED["error"].values())
    assert (failed["summary"], failed["truncated"]) == ("", "false")


def test_csv_as_rfc_4180_has_it() -> None:
    content = written(formats.write_csv, [{**DONE, "summary": 'a "b"\nc', "spans": None}]).read()
    header, row = content.split(b"\r\n", 1)
    assert header == (
        b"index,id,summary,input_tokens,output_tokens,truncated,finish_reason,depth,spans,"
        b"error_code,error_message,reference"
    )
    assert row == b'0,"a,1","a ""b""\nc",12,3,true,length,1,,,,\r\n'


# What SQL gives back: no NUL, no surrogates.
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_no_text_breaks_a_csv_row(text: str) -> None:
    [row] = read_csv(written(formats.write_csv, [{**DONE, "summary": text, "reference": text}]))
    assert (row["summary"], row["reference"], row["index"]) == (text, text, "0")


def test_parquet() -> None:
    table = pyarrow.parquet.read_table(written(formats.write_parquet, [DONE, FAILED]))
    assert table.to_pylist() == [DONE, FAILED]
    assert {field.name: str(field.type) for field in table.schema} == {
        "index": "int64",
        "id": "string",
        "summary": "string",
        "input_tokens": "int32",
        "output_tokens": "int32",
        "truncated": "bool",
        "finish_reason": "string",
        "depth": "int32",
        "spans": "list<element: list<element: int64>>",
        "error": "struct<code: string, message: string>",
        "reference": "string",
    }


def test_parquet_in_row_groups_with_zstd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_ROW_GROUP", 10)
    rows = [{**DONE, "index": index} for index in range(25)]
    file = pyarrow.parquet.ParquetFile(written(formats.write_parquet, rows))
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    assert [group.num_rows for group in groups] == [10, 10, 5]
    assert {group.column(2).compression for group in groups} == {"ZSTD"}
    assert file.read().to_pylist() == rows


def test_a_job_without_rows() -> None:
    assert written(formats.write_jsonl, []).read() == b""
    assert read_csv(written(formats.write_csv, [])) == []
    table = pyarrow.parquet.read_table(written(formats.write_parquet, []))
    assert (table.num_rows, table.num_columns) == (0, 11)


def test_numbers_that_json_does_not_have() -> None:
    row = {"a": float("nan"), "b": [{"c": float("inf")}, 1.5], "d": "\ud83d"}
    out = io.BytesIO()
    formats.write_jsonl([row], out)
    assert b"NaN" not in out.getvalue()
    assert json.loads(out.getvalue()) == {"a": None, "b": [{"c": None}, 1.5], "d": "\ud83d"}
    assert [*map(str, map(formats.flat_value, row.values()))][:2] == ["nan", '[{"c": null}, 1.5]']


def test_bytes_count_wherever_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images are structs of bytes: ten thousand at once would not be flat memory."""
    monkeypatch.setattr(formats, "_GROUP_CHARACTERS", 10)
    rows = [{"image": {"bytes": b"12345", "path": None}, "tags": ["a"]} for _ in range(5)]
    assert [len(group) for group in formats.groups(rows)] == [2, 2, 1]
