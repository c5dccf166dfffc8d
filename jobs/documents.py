"""A document, and how one line of JSONL or one mapping becomes it.

A line that can not be used is a document too: it keeps its index and carries
the error that its row will show. Text that PostgreSQL would refuse is mended
here, once, for input and output alike.
"""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.errors import DocumentError

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Document:
    """One text of a job. Either `text` or `error` is set, never both."""

    index: int
    text: str | None
    id: str | None = None
    reference: str | None = None
    error: DocumentError | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """Which keys of a mapping hold what."""

    text: str = "text"
    id: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What a source holds of one document: its columns, or why they can not be read."""

    where: str | None
    """How messages name it: "line 6"."""
    value: Mapping[str, Any] = field(default_factory=dict)
    error: tuple[str, str] | None = None
    """A code and a message."""


def storable(text: str) -> str:
    """`text` with NUL and lone surrogates, which SQL and UTF-8 refuse, as U+FFFD."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def from_line(index: int, line: bytes, columns: Columns, where: str | None = None) -> Document:
    """One line of JSONL: an object with the text column in it.

    Messages name the document as `where` ("line 6"); without it by its index.
    """
    return from_record(index, record_of_line(line, where), columns)


def record_of_line(line: bytes, where: str | None = None) -> Record:
    """One line of JSONL as an object, or why it is none."""
    try:
        # Told what it is: json would take some lines for UTF-16, and find it by chance.
        value = json.loads(line.decode("utf-8-sig", "surrogatepass"))
    except UnicodeDecodeError as error:
        return Record(where, error=("invalid_utf8", f"not UTF-8 ({error.reason})"))
    except json.JSONDecodeError as error:
        return Record(where, error=("invalid_json", f"not JSON ({error.msg})"))
    except ValueError:  # Python reads no integer of more digits than this
        reason = f"a number of more than {sys.get_int_max_str_digits():,} digits"
        return Record(where, error=("invalid_json", f"not JSON ({reason})"))
    except RecursionError:
        return Record(where, error=("invalid_json", "not JSON (nested too deeply)"))
    if not isinstance(value, Mapping):
        return Record(where, error=("invalid_json", "not a JSON object"))
    return Record(where, value)


def from_record(index: int, record: Record, columns: Columns) -> Document:
    if record.error is not None:
        return _bad(index, *record.error, record.where)
    return from_mapping(index, record.value, columns, record.where)


def from_mapping(
    index: int, value: Mapping[str, Any], columns: Columns, where: str | None = None
) -> Document:
    names = _optional(value, columns.id), _optional(value, columns.reference)
    if columns.text not in value:
        message = f"no column {columns.text!r}; choose one with --text-column"
        return _bad(index, "missing_text", message, where, *names)
    text = value[columns.text]
    if not isinstance(text, str):
        found = "null" if text is None else type(text).__name__
        message = f"column {columns.text!r} is {found}, not a text"
        return _bad(index, "text_not_string", message, where, *names)
    return from_text(index, text, *names, where=where)


def from_text(
    index: int,
    text: str,
    identifier: str | None = None,
    reference: str | None = None,
    where: str | None = None,
) -> Document:
    if not text.strip():
        return _bad(index, "empty_document", "empty", where, identifier, reference)
    return Document(index, storable(text), identifier, reference)


def _optional(value: Mapping[str, Any], column: str | None) -> str | None:
    """None for an empty one too: a table has no other way to say that there is none."""
    found = value.get(column) if column is not None else None
    return None if found is None else storable(str(found)) or None


def _bad(
    index: int,
    code: str,
    message: str,
    where: str | None,
    identifier: str | None = None,
    reference: str | None = None,
) -> Document:
    error = DocumentError(code, storable(f"{where or f'document {index}'}: {message}"))
    return Document(index, None, identifier, reference, error)
