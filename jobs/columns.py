"""Which columns of a source hold text, id and reference: guessed, or named by the user.

A guess goes by name and type: the pairs of well-known summarization datasets first, then names
that are in use for a text, then the only column that can be one. A text is a column of strings;
a list of them is none. Pure: knows columns and their types, and never sees a source.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import islice
from typing import Any

from jobs.documents import Columns, Record
from jobs.errors import UsageError

_PAIRS = (
    ("document", "summary"),  # xsum, multi_news, gigaword, mediasum
    ("article", "highlights"),  # cnn_dailymail
    ("article", "abstract"),  # arxiv and pubmed
    ("dialogue", "summary"),  # samsum, dialogsum
    ("chapter", "summary_text"),  # booksum
    ("description", "abstract"),  # big_patent
    ("report", "summary"),  # gov_report
    ("content", "summary"),  # reddit tldr
    ("source", "target"),  # scitldr
    ("text", "summary"),  # billsum, newsroom, mlsum, xlsum
    ("text", "headline"),  # wikihow
    ("email_body", "subject_line"),  # aeslc
    ("prompt", "completion"),  # tldr as trl has it
)
"""A text and its reference, both of which must be there."""

# fmt: off
_TEXTS = (
    "text", "document", "article", "body", "content", "dialogue", "report", "full_text",
    "article_text", "document_text", "maintext", "main_text", "source_text", "raw_text",
    "input_text", "transcript", "conversation", "passage", "story", "chapter", "paper",
    "email_body", "message", "review", "post", "context", "abstract", "source", "input",
    "sentence", "description",
)
_REFERENCES = (
    "summary", "highlights", "summary_text", "reference_summary", "reference", "gold",
    "gold_summary", "target", "tldr", "tl;dr", "abstract",
)
_IDS = (
    "id", "_id", "doc_id", "document_id", "docid", "uid", "guid", "uuid", "paper_id",
    "article_id", "dialogue_id", "example_id", "bill_id", "post_id", "pmid", "doi", "fname",
)
"""Each in the order of what is taken first, in lower case."""
# fmt: on

_STRINGS = {"string", "large_string", "string_view"}
_UNKNOWN = "null"
"""The type of a column of which nothing else was seen."""
_JSON_TYPES = {str: "string", bool: "bool", int: "int64", float: "float64", list: "list"}
SAMPLE = 100
"""Records from which columns and their types are told, where nothing else tells them."""
_AT_MOST_LOOKED_AT = 1000
"""Those that can not be read among them."""
_LINES = "JSON lines are an object a line (of a JSON array, write: jq -c '.[]' FILE)"
_AT_MOST = 30
"""Columns that a message lists."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user said of each column: its name, "" for none, or None to have it guessed."""

    text: str | None = None
    id: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a source, in order, with their types as Arrow names them."""

    types: Mapping[str, str]
    complete: bool = True
    """Whether it has no others: those of JSON lines are known from the first lines alone."""
    unreadable: str | None = None
    """Why no column is known, where there are lines and none of the first can be read."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The columns of a job, and which of `text`, `id` and `reference` were guessed."""

    columns: Columns
    guessed: tuple[str, ...]


def sample(records: Iterator[Record]) -> list[Record]:
    """The first of them, until enough can be read; takes no others."""
    taken: list[Record] = []
    readable = 0
    for record in islice(records, _AT_MOST_LOOKED_AT):
        taken.append(record)
        readable += record.error is None
        if readable == SAMPLE:
            break
    return taken


def of_lines(records: Sequence[Record]) -> Schema:
    """The columns of lines of JSON, as `of_records` has them."""
    errors = [record.error[1] for record in records if record.error]
    schema = of_records(record.value for record in records)
    if not errors or len(errors) < len(records):
        return schema
    return replace(schema, unreadable=f"{errors[0]}; {_LINES}")


def of_records(records: Iterable[Mapping[str, Any]]) -> Schema:
    """The columns of some records, such as lines of JSON: each with the type that it has there,
    `string` where it is one in any of them."""
    types: dict[str, str] = {}
    for record in records:
        for name, value in record.items():
            found = _json_type(value)
            if types.get(name, _UNKNOWN) == _UNKNOWN or found == "string":
                types[name] = found
    return Schema(types, complete=False)


def choose(schema: Schema, asked: Asked, where: str) -> Chosen:
    """Raises UsageError, which names the source as `where` and its columns, where no column can
    be told to be the text, or one that was named is not there or is no text.

    Of a source without any column, such as an empty one, `text` is taken for the text: what is
    wrong with it, its documents say.
    """
    text = asked.text if asked.text is not None else _text(schema, asked, where)
    _check_text(schema, text, where)
    taken = [text, asked.id, asked.reference]
    identifier, reference = asked.id, asked.reference
    for flag, name in (("--id-column", identifier), ("--reference-column", reference)):
        if name:
            _check_there(schema, flag, name, where, needed=schema.complete)
    if reference is None:
        reference = _reference(schema, text, taken)
    if identifier is None:
        identifier = _first(schema, _IDS, [*taken, reference], _is_id)
    columns = Columns(text, identifier or None, reference or None)
    found = {"text": columns.text, "id": columns.id, "reference": columns.reference}
    said = {"text": asked.text, "id": asked.id, "reference": asked.reference}
    return Chosen(columns, tuple(name for name in found if found[name] and said[name] is None))


def is_text(type_name: str) -> bool:
    """Whether a column of this type holds a string a row."""
    return type_name in _STRINGS or type_name.startswith(
        tuple(f"dictionary<values={name}," for name in _STRINGS)
    )


def listed(schema: Schema) -> str:
    """The columns and their types, for a message."""
    names = [f"{name} ({kind})" for name, kind in schema.types.items()]
    more = [f"{len(names) - _AT_MOST} more"] if len(names) > _AT_MOST else []
    return ", ".join([*names[:_AT_MOST], *more]) or "no column"


def _text(schema: Schema, asked: Asked, where: str) -> str:
    if schema.unreadable:
        raise UsageError(f"{where}: none of its first lines can be read: {schema.unreadable}")
    if not schema.types:
        return "text"
    taken = [asked.id, asked.reference]
    names = _by_lower_case(schema, taken, is_text)
    for text, reference in _PAIRS:
        there = names if asked.reference is None else {*names, (asked.reference or "").lower()}
        if text in names and reference in there:
            return names[text]
    if found := _first(schema, _TEXTS, taken, is_text):
        return found
    others = [name for lower, name in names.items() if lower not in (*_IDS, *_REFERENCES)]
    if len(others) == 1:
        return others[0]
    if found := _first(schema, _TEXTS, taken, lambda kind: kind == _UNKNOWN):
        return found
    why = "no column is known to hold the text" if names else "no column holds strings"
    raise UsageError(f"{where}: {why}; it has {listed(schema)}; choose one with --text-column")


def _reference(schema: Schema, text: str, taken: list[str | None]) -> str | None:
    of_pairs = [reference for paired, reference in _PAIRS if paired == text.lower()]
    return _first(schema, [*of_pairs, *_REFERENCES], taken, is_text)


def _check_text(schema: Schema, name: str, where: str) -> None:
    if not name:
        raise UsageError(f"{where}: a job needs a text column; it has {listed(schema)}")
    _check_there(schema, "--text-column", name, where, needed=bool(schema.types))
    found = schema.types.get(name, "string")
    if not is_text(found) and found != _UNKNOWN:
        raise UsageError(
            f"{where}: column {name!r} is {found}, not a text; it has {listed(schema)}; "
            "choose another with --text-column"
        )


def _check_there(schema: Schema, flag: str, name: str, where: str, *, needed: bool) -> None:
    """One that is needed must be there. Another may come later, unless it looks like a typo."""
    if name in schema.types:
        return
    near = get_close_matches(name, schema.types, n=1)
    if needed or near:
        mean = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"{where}: {flag} {name!r}: it has {listed(schema)}{mean}")


def _first(
    schema: Schema, names: Iterable[str], taken: Iterable[str | None], fits: Callable[[str], bool]
) -> str | None:
    there = _by_lower_case(schema, taken, fits)
    return next((there[name] for name in names if name in there), None)


def _by_lower_case(
    schema: Schema, taken: Iterable[str | None], fits: Callable[[str], bool]
) -> dict[str, str]:
    """The columns of a type that fits, the first of those that differ in case alone."""
    found: dict[str, str] = {}
    for name, kind in schema.types.items():
        if fits(kind) and name not in taken:
            found.setdefault(name.lower(), name)
    return found


def _is_id(type_name: str) -> bool:
    return is_text(type_name) or type_name.lstrip("u").startswith("int")


def _json_type(value: object) -> str:
    if value is None:
        return _UNKNOWN
    return _JSON_TYPES.get(type(value), "struct")
