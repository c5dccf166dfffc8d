"""The database's clock: the only one that leases are measured by."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select

from jobs.database import Transaction


def now() -> ColumnElement[Any]:
    """The wall clock at the moment of execution, not at the transaction's start."""
    return func.clock_timestamp()


def after(seconds: float) -> ColumnElement[Any]:
    return func.clock_timestamp() + seconds_long(seconds)


def before(seconds: float) -> ColumnElement[Any]:
    return func.clock_timestamp() - seconds_long(seconds)


def seconds_long(seconds: float) -> ColumnElement[Any]:
    return func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def read(tx: Transaction) -> datetime:
    found: datetime = tx.execute(select(now())).scalar_one()
    return found
