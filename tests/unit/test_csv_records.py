"""Cutting CSV into records: as Python's `csv` does it, whatever is in it."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.sources import csv_records
from jobs.sources.csv_records import TooLong

SOME = st.text(st.sampled_from('a ",;\n\r\té\ufeff'), max_size=60)
CELLS = st.lists(st.lists(st.text(max_size=20), min_size=2, max_size=2), min_size=1, max_size=20)


def split(text: str, delimiter: str = ",") -> list[csv_records.Raw]:
    return list(csv_records.split(io.BytesIO(text.encode()), delimiter))


@given(SOME.map(lambda text: text.replace("\r", "")), st.sampled_from(",;\t"))
def test_records_are_those_of_csv(text: str, delimiter: str) -> None:
    """Quotes anywhere, newlines anywhere: every byte once, and the fields that `csv` finds."""
    found = split(text, delimiter)
    assert "".join(raw.data.decode() for raw in found) == text
    assert [raw.line for raw in found] == [
        1 + sum(raw.lines for raw in found[:number]) for number in range(len(found))
    ]
    read = [
        csv_records.fields(raw, delimiter) for raw in found if not csv_records.is_blank(raw.data)
    ]
    lines = io.StringIO(text, newline="")
    expected = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    closed = [row for row in read if isinstance(row, list)]
    assert closed == expected[: len(closed)]
    assert len(read) == len(expected)
    assert len(read) - len(closed) <= 1, "only the last one can be open"


@given(SOME)
def test_carriage_returns_lose_no_byte(text: str) -> None:
    """Where `csv` refuses a lone one, the record is an error and the others stay."""
    found = split(text)
    assert "".join(raw.data.decode() for raw in found) == text
    for raw in found:
        csv_records.record(raw, ["a", "b"], ",")


@given(CELLS, st.sampled_from(["\n", "\r\n"]), st.sampled_from(",;\t|"), st.booleans())
def test_what_csv_writes_is_read(
    rows: list[list[str]], end: str, delimiter: str, quoted: bool
) -> None:
    written = io.StringIO(newline="")
    # Python 3.11 leaves a lone carriage return without quotes, and then can not read it.
    bare = any("\r" in cell for row in rows for cell in row)
    quoting: Any = csv.QUOTE_ALL if quoted or bare else csv.QUOTE_MINIMAL
    csv.writer(written, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
    found = split(written.getvalue().encode("utf-8", "replace").decode(), delimiter)
    read = [csv_records.record(raw, ["a", "b"], delimiter) for raw in found]
    expected = [[cell.encode("utf-8", "replace").decode() for cell in row] for row in rows]
    assert [list(record.value.values()) for record in read] == expected


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (b"a\n", "invalid_csv", "line 1: 1 fields, where the header has 2"),
        (b"a,b,c\n", "invalid_csv", "3 fields"),
        (b"a,\xff\n", "invalid_utf8", "not UTF-8"),
        (b'a,"b\nc', "invalid_csv", "a quote that is opened is never closed"),
        (b"a,b\rc,d\n", "invalid_csv", "not CSV (new-line character"),
    ],
)
def test_a_bad_record(data: bytes, code: str, says: str) -> None:
    (raw,) = csv_records.split(io.BytesIO(data), ",")
    record = csv_records.record(raw, ["a", "b"], ",")
    assert record.error is not None
    assert record.error[0] == code
    assert says.removeprefix("line 1: ") in record.error[1]
    assert record.where == "line 1"


def test_a_quote_that_is_never_closed_ends_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_records, "LARGEST", 1000)
    for opening in ('a,"b', 'a"b,"c'):
        with pytest.raises(TooLong) as raised:
            split("a,b\n" + opening + "\n" + "more, text\n" * 1000)
        assert raised.value.line == 2
