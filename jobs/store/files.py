"""Uploaded files as rows: what they are called and where their bytes lie."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Select,
    delete,
    exists,
    insert,
    literal,
    select,
    true,
    tuple_,
)

from jobs.callers import Caller
from jobs.database import Transaction
from jobs.documents import storable
from jobs.errors import NotFound
from jobs.states import JOB_OVER
from jobs.store import clock
from jobs.tables import files, jobs

Order = Literal["asc", "desc"]
Place = tuple[datetime, str]
"""Where a file stands among all of them: when it came, and its id."""

_UPLOAD = jobs.c.source["upload"]["id"].as_string()
"""The id of the file that a job reads."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """An uploaded file."""

    id: str
    owner: str | None
    purpose: str
    filename: str
    bytes: int
    location: str
    """A path or a URL."""
    created_at: datetime


def new_id() -> str:
    return "file-" + secrets.token_hex(12)


def add(tx: Transaction, file: FileRecord) -> None:
    names = FileRecord.__dataclass_fields__
    tx.execute(insert(files).values({name: getattr(file, name) for name in names}))


def get(tx: Transaction, file_id: str, caller: Caller) -> FileRecord:
    """Raises NotFound, also where it is another one's."""
    row = tx.execute(_records().where(files.c.id == storable(file_id), _seen(caller))).mappings()
    if (found := row.one_or_none()) is None:
        raise NotFound(f"no file {storable(file_id)!r}; GET /v1/files lists them")
    return FileRecord(**found)


def page(
    tx: Transaction,
    limit: int,
    caller: Caller,
    *,
    purpose: str | None = None,
    behind: Place | None = None,
    order: Order = "desc",
) -> list[FileRecord]:
    """By when they came; only those of `purpose`, if one is named, and behind a place."""
    place = tuple_(files.c.created_at, files.c.id)
    fits = [_seen(caller)]
    if purpose is not None:
        fits.append(files.c.purpose == storable(purpose))
    if behind is not None:
        last = tuple_(*(literal(each) for each in behind))
        fits.append(place < last if order == "desc" else place > last)
    by = [files.c.created_at, files.c.id]
    ordered = [column.desc() for column in by] if order == "desc" else by
    found = tx.execute(_records().where(*fits).order_by(*ordered).limit(limit)).mappings()
    return [FileRecord(**row) for row in found]


def hold(tx: Transaction, file_id: str, *, delete: bool = False) -> None:
    """Until the end of the transaction nobody deletes it; to `delete` it, nobody else holds it.
    Raises NotFound where it is gone."""
    row = select(files.c.id).where(files.c.id == file_id).with_for_update(read=not delete)
    if tx.execute(row).one_or_none() is None:
        raise NotFound(f"no file {file_id!r}; GET /v1/files lists them")


def delete_one(tx: Transaction, file_id: str) -> None:
    tx.execute(delete(files).where(files.c.id == file_id))


def unneeded(tx: Transaction, seconds: float) -> list[FileRecord]:
    """Those that were uploaded so long ago, and that no job has, over or not."""
    old = files.c.created_at < clock.before(seconds)
    had = exists().where(files.c.id == _UPLOAD)
    return [FileRecord(**row) for row in tx.execute(_records().where(old, ~had)).mappings()]


def is_needed(tx: Transaction, file_id: str) -> bool:
    """Whether a job that is not over reads it."""
    needed = exists().where(file_id == _UPLOAD, jobs.c.status.not_in([*JOB_OVER]))
    return bool(tx.execute(select(needed)).scalar_one())


def _records() -> Select[Any]:
    return select(*(files.c[name] for name in FileRecord.__dataclass_fields__))


def _seen(caller: Caller) -> ColumnElement[bool]:
    return true() if caller.only is None else files.c.owner == caller.only
