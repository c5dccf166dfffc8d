"""Datasets from Python, as Arrow files that workers can read: where their rows lie, or a copy.

A `datasets.Dataset` that is no more than its Arrow files is read there. Any other, and an
`IterableDataset`, is written once into a folder of the home, a batch at a time, and stays there
until `gistmill purge` finds no job that names it. A folder has the dataset's fingerprint for a
name, or the hash of what was written; it appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jobs.errors import UsageError
from jobs.services import locks

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 1000
"""Rows that are held at once, and of a record batch."""
_OF_NO_ROW = ("replace_schema_metadata",)
"""What `datasets` does to a table that changes nothing in its rows."""
_UNFINISHED = ".new-"
_POLL = 0.05


def folder(home: Path, database_url: str) -> Path:
    """Where the copies of a mill's jobs lie. Another database does not know which of them are
    needed, so it has others."""
    parts = urlsplit(database_url)
    place = f"{parts.netloc.rpartition('@')[2]}{parts.path}?{parts.query}"
    return home / "datasets" / hashlib.sha256(place.encode()).hexdigest()[:12]


def is_dataset(given: object) -> bool:
    """Whether it is one, of those that have several splits too. Imports nothing: without
    `datasets` there is none."""
    datasets = sys.modules.get("datasets")
    kinds = ("Dataset", "IterableDataset", "DatasetDict", "IterableDatasetDict")
    return datasets is not None and isinstance(given, tuple(getattr(datasets, k) for k in kinds))


def one_split(given: Any, split: str | None) -> Any:
    """The Dataset or IterableDataset to submit. Raises UsageError."""
    if not isinstance(given, Mapping):
        if split is not None:
            raise UsageError(f"split {split!r}: a {type(given).__name__} is one already")
        return given
    if split not in given:
        there = ", ".join(map(str, given))
        what = "name its split" if split is None else f"it has no split {split!r}"
        raise UsageError(f"{type(given).__name__}: {what}; there are: {there}")
    return given[split]


def where_it_lies(dataset: Any) -> list[str]:
    """The Arrow files whose rows, one after the other, are those of the dataset; none where its
    rows are in memory, chosen, changed, or in files that end with this process."""
    import datasets

    if not isinstance(dataset, datasets.Dataset) or dataset.format["type"] == "custom":
        return []
    if dataset._indices is not None:
        return []
    table = dataset.data
    rows = table.blocks if isinstance(table, datasets.table.ConcatenationTable) else [[table]]
    blocks = [block for row in rows for block in row]
    if any(len(row) > 1 for row in rows) or not all(_is_file(block, table) for block in blocks):
        return []
    paths = [block.path for block in blocks]
    passing = datasets.fingerprint._TEMP_DIR_FOR_TEMP_CACHE_FILES
    if passing is not None and any(path.startswith(f"{passing.name}/") for path in paths):
        return []
    return paths


def _is_file(block: Any, table: Any) -> bool:
    """Whether a block of a table is a whole file, as it is."""
    import datasets

    if not isinstance(block, datasets.table.MemoryMappedTable):
        return False
    as_it_is = all(name in _OF_NO_ROW for name, *_ in block.replays)
    return as_it_is and block.schema.equals(table.schema)


def as_files(dataset: Any, folder: Path) -> Path:
    """The Arrow file, or the folder of such files, of whose rows the dataset is. Within `using`.

    Raises UsageError where there are none, or Arrow can not hold them.
    """
    files = where_it_lies(dataset)
    if len(files) == 1:
        return Path(files[0])
    return _linked(files, folder) if files else keep(dataset, folder)


def keep(dataset: Any, folder: Path) -> Path:
    """Write its rows below `folder`, unless they are there; returns the folder of its files.

    Within `using`. Raises UsageError where there are none, or Arrow can not hold them.
    """
    fingerprint: str | None = getattr(dataset, "_fingerprint", None)
    if fingerprint and (folder / fingerprint).is_dir():
        return folder / fingerprint
    written = _unfinished(folder)
    try:
        digest = _write(_tables(dataset), written)
        return _named(written, folder / (fingerprint or digest))
    finally:
        shutil.rmtree(written, ignore_errors=True)


def as_parquet(dataset: Any, path: Path) -> Path:
    """Write its rows to one file. Raises UsageError where there are none, or it can not hold
    them."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    tables = _tables(dataset)
    try:
        if (first := next(tables, None)) is None:
            raise UsageError("dataset: it holds no document")
        with ParquetWriter(path, first.schema, compression="zstd") as file:
            for table in chain([first], tables):
                file.write_table(table.cast(first.schema))
    except (pa.ArrowException, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"dataset: its rows can not be kept as Parquet ({reason})") from None
    return path


def _linked(files: list[str], folder: Path) -> Path:
    """Files that lie apart, in one folder and in order: they stay where they are."""
    target = folder / hashlib.sha256("\n".join(files).encode()).hexdigest()[:32]
    if target.is_dir():
        return target
    written = _unfinished(folder)
    for number, path in enumerate(files):
        (written / f"data-{number:05}.arrow").symlink_to(path)
    return _named(written, target)


@contextmanager
def using(folder: Path) -> Iterator[None]:
    """In which nothing below `folder` is forgotten: until a job that names it is committed."""
    folder.mkdir(parents=True, exist_ok=True)
    while (lock := locks.try_shared(folder / ".lock")) is None:
        sleep(_POLL)
    try:
        yield
    finally:
        lock.release()


def forget(folder: Path, needed: Iterable[str]) -> list[str]:
    """Delete the copies below `folder` that are not among `needed`; returns which they were.

    Nothing where somebody is using it: the next time does it.
    """
    if not folder.is_dir() or (lock := locks.try_exclusive(folder / ".lock")) is None:
        return []
    try:
        kept = {Path(path).name for path in needed}
        gone = [each for each in folder.iterdir() if each.is_dir() and each.name not in kept]
        for each in gone:
            shutil.rmtree(each)
    finally:
        lock.release()
    return sorted(each.name for each in gone if not each.name.startswith(_UNFINISHED))


def _unfinished(folder: Path) -> Path:
    path = folder / f"{_UNFINISHED}{secrets.token_hex(8)}"
    path.mkdir()
    return path


def _named(written: Path, target: Path) -> Path:
    try:
        written.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        # Somebody else was faster.
    return target


def _tables(dataset: Any) -> Iterator[pa.Table]:
    """Its rows, so many at a time."""
    import datasets
    import pyarrow as pa

    custom = isinstance(dataset, datasets.Dataset) and dataset.format["type"] == "custom"
    if dataset.features is not None and not custom:
        yield from dataset.with_format("arrow").iter(_ROWS)
        return
    remaining = iter(dataset)
    while rows := list(islice(remaining, _ROWS)):
        names = dict.fromkeys(name for row in rows for name in row)
        yield pa.table({name: [row.get(name) for row in rows] for name in names})


def _write(tables: Iterator[pa.Table], folder: Path) -> str:
    """Write files of Arrow streams, another where the columns change; returns a hash of them."""
    import pyarrow as pa

    digest = hashlib.sha256()
    try:
        first = next(tables, None)
        number = 0
        while first is not None:
            path = folder / f"data-{number:05}.arrow"
            first = _write_alike(first, tables, path)
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
                os.fsync(file.fileno())
            number += 1
    except pa.ArrowException as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"dataset: its rows can not be kept as Arrow ({reason})") from None
    if not number:
        raise UsageError("dataset: it holds no document")
    return digest.hexdigest()[:32]


def _write_alike(first: pa.Table, others: Iterator[pa.Table], path: Path) -> pa.Table | None:
    """Write tables of the same columns; returns the first of others, if there is one."""
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, first.schema) as stream:
        stream.write_table(first, max_chunksize=_ROWS)
        for table in others:
            if not table.schema.equals(first.schema):
                return table
            stream.write_table(table, max_chunksize=_ROWS)
    return None
