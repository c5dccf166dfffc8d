"""Rows as a `datasets.Dataset`: Arrow in a file, of which only what is looked at is in memory."""

import atexit
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.errors import UsageError
from producer import formats
from producer.listings import Listing

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

_BATCH = 1000
"""Rows that are found by one step of a look-up."""


def dataset(listing: Listing, folder: Path) -> "Dataset":
    """Its file lies in `folder` until this process ends: others that are made from the dataset,
    or given it, read it too. `Dataset.save_to_disk` keeps a copy."""
    from datasets import Dataset

    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".rows.", suffix=".arrow")
    atexit.register(_forget, Path(name), os.getpid())
    with os.fdopen(descriptor, "wb") as out:
        _write(listing, out)
    found: Dataset = Dataset.from_file(name)
    return found


def _write(listing: Listing, out: object) -> None:
    import pyarrow as pa
    from datasets.table import table_cast

    schema = _schema(listing.schema())
    with pa.ipc.new_stream(out, schema) as file:
        for group in formats.groups(listing.rows()):
            file.write_table(table_cast(listing.table(group), schema), max_chunksize=_BATCH)


def _schema(schema: "pa.Schema") -> "pa.Schema":
    """As datasets has it: types that only it knows, such as labels with names, are known by their
    features. Raises UsageError for a type that it does not have, such as a map."""
    from datasets import Features

    try:
        return Features.from_arrow_schema(schema).arrow_schema
    except ValueError as error:
        reason = str(error).rstrip(".")
        raise UsageError(f"{reason}; Parquet keeps it: save('rows.parquet', join=True)") from error


def _forget(path: Path, process: int) -> None:
    if os.getpid() == process:  # a fork of it may end first
        path.unlink(missing_ok=True)
