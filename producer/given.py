"""Documents that come with the submission: strings and mappings from Python, or lines.

Which columns of mappings hold what is told from the first of them, which are read before the
others and not lost.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from jobs import columns
from jobs.allowed_sources import is_url
from jobs.columns import Asked, Chosen
from jobs.documents import Columns, Document, Record, from_record, from_text, record_of_line
from jobs.sources.hub.names import is_id
from producer.submit import from_python, many


@dataclass(frozen=True, slots=True)
class Given:
    """Documents that are read once, and the columns that they came from, if from any."""

    documents: Iterator[Document]
    chosen: Chosen | None = None


def location_of(given: object, *, of_dataset: bool) -> str | None:
    """Where the documents lie, if they are not given themselves.

    A string could be meant as a text. It is a location where it is a URL, ORG/NAME, or where
    something was said `of_dataset`. A path is a path, whatever dataset there may be of that name.
    """
    if isinstance(given, os.PathLike):
        path = os.path.expanduser(given)  # noqa: PTH111 - pathlib's raises for unknown users
        return str(Path(path).absolute())
    if isinstance(given, str) and (of_dataset or is_url(given) or is_id(given)):
        return given
    return None


def of_python(given: object, asked: Asked) -> Given:
    """Strings and mappings. Raises UsageError for anything else, when it is read, and where no
    column of the mappings can be told to be the text."""
    remaining = iter(many(given))
    first = list(islice(remaining, columns.SAMPLE))
    items = chain(first, remaining)
    mappings = [item for item in first if isinstance(item, Mapping)]
    if not mappings:
        # They may come yet: then what was asked for is all that is known of them.
        named = Columns(asked.text or "text", asked.id or None, asked.reference or None)
        return Given(from_python(items, named))
    chosen = columns.choose(columns.of_records(map(_named, mappings)), asked, "documents")
    return Given(from_python(items, chosen.columns), chosen)


def _named(item: Mapping[Any, Any]) -> dict[str, Any]:
    """What can be a column: keys may be anything."""
    return {name: value for name, value in item.items() if isinstance(name, str)}


def of_json_lines(stream: BinaryIO, asked: Asked) -> Given:
    """Raises UsageError where no column can be told to be the text."""
    filled = ((number, line) for number, line in enumerate(stream, 1) if line.strip())
    remaining = (record_of_line(line, f"line {number}") for number, line in filled)
    first = columns.sample(remaining)
    where = "standard input (--lines is for plain text)"
    chosen = columns.choose(columns.of_lines(first), asked, where)
    return Given(_of_records(chain(first, remaining), chosen.columns), chosen)


def of_plain_lines(stream: BinaryIO) -> Given:
    """A document a line that is not blank."""
    return Given(_of_plain_lines(stream))


def _of_plain_lines(stream: BinaryIO) -> Iterator[Document]:
    filled = ((number, line) for number, line in enumerate(stream, 1) if line.strip())
    for index, (number, line) in enumerate(filled):
        text = line.decode(errors="replace").rstrip("\r\n")
        yield from_text(index, text, where=f"line {number}")


def _of_records(records: Iterable[Record], wanted: Columns) -> Iterator[Document]:
    for index, record in enumerate(records):
        yield from_record(index, record, wanted)
