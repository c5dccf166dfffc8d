"""Who is alive: workers and dispatchers, each in a row that it renews."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from jobs.database import Transaction
from jobs.store import clock
from jobs.tables import workers

Role = Literal["worker", "dispatcher"]

# Rows of those who went without a word are kept this long for a look at what happened.
_FORGOTTEN_AFTER = 24 * 3600


@dataclass(frozen=True, slots=True)
class Presence:
    """A process that says that it lives."""

    name: str
    role: Role
    host: str
    pid: int
    device: str | None
    version: str


def announce(tx: Transaction, presence: Presence) -> None:
    values = {
        "role": presence.role,
        "host": presence.host,
        "pid": presence.pid,
        "device": presence.device,
        "version": presence.version,
    }
    row = insert(workers).values(name=presence.name, **values)
    tx.execute(row.on_conflict_do_update(index_elements=["name"], set_={"seen_at": clock.now()}))


def leave(tx: Transaction, name: str) -> None:
    tx.execute(delete(workers).where(workers.c.name == name))


def alive(tx: Transaction, role: Role, within: float, host: str | None = None) -> int:
    """How many were seen in the last `within` seconds, on `host` alone if one is named."""
    seen = workers.c.seen_at > clock.before(within)
    counted = select(func.count()).select_from(workers).where(workers.c.role == role, seen)
    if host is not None:
        counted = counted.where(workers.c.host == host)
    return tx.execute(counted).scalar_one()


def forget_the_gone(tx: Transaction) -> None:
    tx.execute(delete(workers).where(workers.c.seen_at < clock.before(_FORGOTTEN_AFTER)))
