"""Who is alive: workers and dispatchers, each in a row that it renews."""

from dataclasses import dataclass
from time import time
from typing import Literal

from sqlalchemy import ColumnElement, Double, cast, delete, exists, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from jobs.database import Transaction
from jobs.job import ModelKey
from jobs.states import ShardState
from jobs.store import clock
from jobs.store.conditions import has_model
from jobs.tables import jobs, shards, workers

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
    ahead = literal(time()) - func.extract("epoch", clock.now())
    row = insert(workers).values(name=presence.name, clock_ahead=ahead, **values)
    seen = {"seen_at": clock.now(), "clock_ahead": row.excluded.clock_ahead}
    tx.execute(row.on_conflict_do_update(index_elements=["name"], set_=seen))


def leave(tx: Transaction, name: str) -> None:
    tx.execute(delete(workers).where(workers.c.name == name))


def alive(tx: Transaction, role: Role, within: float, host: str | None = None) -> int:
    """How many were seen in the last `within` seconds, on `host` alone if one is named."""
    seen = workers.c.seen_at > clock.before(within)
    counted = select(func.count()).select_from(workers).where(workers.c.role == role, seen)
    if host is not None:
        counted = counted.where(workers.c.host == host)
    return tx.execute(counted).scalar_one()


def alive_for(tx: Transaction, key: ModelKey, within: float) -> int:
    """How many workers were seen in the last `within` seconds that may come for this model's work:
    all but those that are busy with another one."""
    elsewhere = exists().where(
        shards.c.leased_by == workers.c.name,
        shards.c.state == ShardState.RUNNING,
        shards.c.job_id == jobs.c.id,
        ~has_model(key),
    )
    seen = workers.c.seen_at > clock.before(within)
    counted = select(func.count()).where(workers.c.role == "worker", seen, ~elsewhere)
    return tx.execute(counted.select_from(workers)).scalar_one()


def lives(name: ColumnElement[str | None], within: float) -> ColumnElement[bool]:
    """A condition on a worker's or dispatcher's name: seen in the last `within` seconds."""
    return exists().where(workers.c.name == name, workers.c.seen_at > clock.before(within))


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker or dispatcher, and when it last said that it lives."""

    presence: Presence
    seconds_ago: float
    clock_ahead: float
    """Seconds by which its clock is ahead of the database's."""


def seen(tx: Transaction, within: float) -> list[Seen]:
    """Who was seen in the last `within` seconds, by role and name."""
    ago = cast(func.extract("epoch", clock.now() - workers.c.seen_at), Double).label("ago")
    rows = tx.execute(
        select(workers, ago)
        .where(workers.c.seen_at > clock.before(within))
        .order_by(workers.c.role, workers.c.name)
    )
    return [
        Seen(
            Presence(row.name, row.role, row.host, row.pid, row.device, row.version),
            row.ago,
            row.clock_ahead,
        )
        for row in rows
    ]


def forget_the_gone(tx: Transaction) -> None:
    tx.execute(delete(workers).where(workers.c.seen_at < clock.before(_FORGOTTEN_AFTER)))
