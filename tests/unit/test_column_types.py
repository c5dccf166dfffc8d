"""Types that hold all that was seen, whatever the source has in a column."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import UsageError
from producer import column_types
from producer.column_types import ColumnTypes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(st.dictionaries(st.sampled_from("abc"), JSON), max_size=6)


def typed(*shards: list[dict[str, Any]]) -> tuple[pa.Schema, set[str]]:
    types = ColumnTypes()
    for rows in shards:
        types.add(rows)
    return types.schema(), types.written()


@pytest.mark.parametrize(
    ("values", "kind", "written"),
    [
        ([1, 2.5], "double", False),
        ([None, "a"], "string", False),
        ([1, "a"], "string", True),
        ([2**80], "string", True),
        ([True, 1], "string", True),
        ([[1], ["a"]], "string", True),
        ([[], [1]], "list<item: int64>", False),
        ([{"a": 1}, {"a": None, "b": "x"}], "struct<a: int64, b: string>", False),
        ([{}], "string", True),
        ([[{"a": {}}]], "string", True),
        ([None], "null", False),
    ],
)
def test_one_column(values: list[Any], kind: str, written: bool) -> None:
    """The same whether they were in one shard or in one each."""
    rows = [{"x": value} for value in values]
    for shards in ([rows], [[row] for row in rows], [[row] for row in reversed(rows)]):
        schema, as_json = typed(*shards)
        assert (str(schema.field("x").type), as_json == {"x"}) == (kind, written)


@given(st.lists(ROWS, max_size=3))
def test_whatever_is_found_fits(shards: list[list[dict[str, Any]]]) -> None:
    """All but whole numbers that a fraction beside them has no room for."""
    numbered = [[{**row, "n": n} for n, row in enumerate(rows)] for rows in shards]
    schema, written = typed(*numbered)
    for rows in numbered:
        refused = None
        try:
            assert column_types.table(rows, schema, written).num_rows == len(rows)
        except UsageError as error:
            refused = str(error)
        assert refused is None or "outside of the range exactly representable" in refused


def test_what_does_not_fit_is_told() -> None:
    schema, written = typed([{"x": 2**60 + 1}], [{"x": 0.5}])
    with pytest.raises(UsageError, match=r"column 'x': .*--format jsonl"):
        column_types.table([{"x": 2**60 + 1}], schema, written)
