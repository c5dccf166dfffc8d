"""Many new rows as one value of a statement.

With a value for each column of each row, putting the statement together costs several times
what PostgreSQL takes to do it.
"""

from collections.abc import Sequence

from sqlalchemy import JSON, Table, Text, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import Insert, insert


def insert_of_job(table: Table, names: Sequence[str]) -> Insert:
    """An INSERT of rows with the columns `names`, all of one job.

    Its parameters are `job`, an id, and `rows`, a list of mappings from name to value.
    """
    rows = (
        func.json_to_recordset(bindparam("rows", type_=JSON))
        .table_valued(*(column(name, table.c[name].type) for name in names), name="given")
        .render_derived(with_types=True)
    )
    given = select(bindparam("job", type_=Text), rows)
    return insert(table).from_select(["job_id", *names], given)
