"""The types of a source's columns, as its files state them, or found by looking at all rows.

Of sources that do not say, such as JSON lines: a whole number and a fraction make fractions,
nothing and a text make texts, and a column in which nothing fits together, a number here and
a text there, is JSON in a text. Holds types, never rows.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobs.documents import storable
from jobs.errors import UsageError
from producer import formats

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]

_FEATURES = b"huggingface"
"""A schema's metadata."""


class ColumnTypes:
    """Found so far, by name, in the order in which the names were met."""

    def __init__(self) -> None:
        self._types: dict[str, pa.DataType | None] = {}
        """None is JSON in a text."""
        self._metadata: Mapping[bytes, bytes] = {}

    def add_schema(self, schema: "pa.Schema") -> None:
        """Of rows that are all as it says."""
        for field in schema:
            self._types[field.name] = _both(self._types.get(field.name, field.type), field.type)
        self._metadata = self._metadata or schema.metadata or {}

    def add(self, rows: Sequence[Row]) -> None:
        names = dict.fromkeys(name for row in rows for name in row)
        for name in names:
            found = _type_of([row.get(name) for row in rows])
            self._types[name] = _both(self._types.get(name, found), found)

    def names(self) -> list[str]:
        return [*self._types]

    def schema(self, *texts: str) -> "pa.Schema":
        """With columns of text after them, named `texts`."""
        import pyarrow as pa

        kinds = [(n, pa.string() if kind is None else kind) for n, kind in self._types.items()]
        added = [(name, pa.string()) for name in texts]
        return pa.schema(kinds + added, _metadata(self._metadata, texts))

    def written(self) -> set[str]:
        """The columns that are JSON in a text."""
        return {name for name, kind in self._types.items() if kind is None}


def table(rows: Iterable[Row], schema: "pa.Schema", written: set[str]) -> "pa.Table":
    """Rows in the types of `schema`, the columns of `written` as JSON.

    Raises UsageError for a value that its column's type has no room for.
    """
    import pyarrow as pa

    rows = list(rows)
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if field.name in written:
            values = [None if value is None else formats.as_json(value) for value in values]
        columns.append(_column(field, values))
    return pa.Table.from_arrays(columns, schema=schema)


def _column(field: "pa.Field", values: list[Any]) -> "pa.Array":
    import pyarrow as pa

    try:
        return _array(values, field.type)
    except (pa.ArrowException, TypeError, OverflowError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        message = f"column {field.name!r}: {reason}; jsonl takes any value: --format jsonl"
        raise UsageError(message) from error


def _type_of(values: list[Any]) -> "pa.DataType | None":
    import pyarrow as pa

    try:
        kind = _array(values).type
    except (pa.ArrowException, TypeError, OverflowError):
        return None
    return None if _is_empty(kind) else kind


def _array(values: list[Any], kind: "pa.DataType | None" = None) -> "pa.Array":
    import pyarrow as pa

    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # half a surrogate pair
        return pa.array([_encodable(value) for value in values], kind)


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_encodable(each) for each in value]
    if isinstance(value, Mapping):
        return {storable(name): _encodable(each) for name, each in value.items()}
    return value


def _both(one: "pa.DataType | None", other: "pa.DataType | None") -> "pa.DataType | None":
    import pyarrow as pa

    if one is None or other is None:
        return None
    if one.equals(other):
        return one
    schemas = [pa.schema([("x", kind)]) for kind in (one, other)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field("x").type
    except pa.ArrowException:
        return None


def _metadata(stated: Mapping[bytes, bytes], texts: Sequence[str]) -> dict[bytes, bytes]:
    """What datasets wrote there of types that only it has, such as labels with names."""
    if _FEATURES not in stated:
        return {}
    features = json.loads(stated[_FEATURES])
    for name in texts:
        features["info"]["features"][name] = {"dtype": "string", "_type": "Value"}
    return {_FEATURES: json.dumps(features).encode()}


def _is_empty(kind: "pa.DataType") -> bool:
    """Whether there is an object without fields in it, for which Parquet has no type."""
    import pyarrow.types

    if pyarrow.types.is_struct(kind):
        return kind.num_fields == 0 or any(_is_empty(field.type) for field in kind.fields)
    return pyarrow.types.is_list(kind) and _is_empty(kind.value_type)
