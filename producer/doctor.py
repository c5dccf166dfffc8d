"""What is wrong with a mill, and what to do about it: one finding for each part.

Looks at everything that it can reach; a part that can not be looked at because another
is down is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from time import sleep
from typing import TYPE_CHECKING, Literal

from jobs import exposure
from jobs.broker import Broker, BrokerHealth
from jobs.database import Database
from jobs.errors import BrokerUnreachable, DatabaseUnreachable, GistmillError, NotMigrated
from jobs.settings import Settings, Timings
from jobs.store import backlog, workers
from jobs.store.backlog import Backlog
from jobs.store.workers import Seen

if TYPE_CHECKING:
    from producer.client import Client

# Leases are measured by the database's clock; a worker's own only dates its log.
_CLOCK_AHEAD = 5.0
# Nobody works only if so many looks, a dispatcher's turn apart, see nobody.
_LOOKS = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One part of the mill."""

    part: str
    state: Literal["ok", "warning", "failed"]
    says: str
    do: str | None = None
    """What to do, where something is to be done."""


def exposed(settings: Settings) -> list[Finding]:
    """What keeps gistmill from asking the servers anything; to be looked at first."""
    found = exposure.found(settings)
    return [Finding(each.setting, "failed", each.says, each.do) for each in found]


def examine(database: Database, broker: Broker, timings: Timings) -> list[Finding]:
    return [*_database(database, timings), *_broker(broker)]


def examine_from_afar(client: "Client", url: str) -> list[Finding]:
    """What can be seen of a mill that is asked over HTTP."""
    try:
        missing = client.missing()
        client.jobs(1)
    except GistmillError as error:
        do = "see to GISTMILL_URL and GISTMILL_TOKEN, or unset them for this machine's own mill"
        return [Finding("mill over HTTP", "failed", str(error), do)]
    dead = [
        Finding(role, "failed", "none is alive", "on a machine of the mill: gistmill up")
        for role in missing
    ]
    return [Finding("mill over HTTP", "ok", f"{url} answers, and knows us"), *dead]


def _database(database: Database, timings: Timings) -> Iterator[Finding]:
    try:
        server = database.server_version()
        at, head = database.revision(), database.newest_revision()
    except DatabaseUnreachable as error:
        yield Finding("database", "failed", str(error), "start it, or set GISTMILL_DATABASE_URL")
        return
    yield Finding("database", "ok", f"PostgreSQL {server} at {database.where}")
    if at != head:
        says = f"at {at or 'base'}; this version of gistmill needs {head}"
        yield Finding("migrations", "failed", says, "gistmill migrate")
    else:
        yield Finding("migrations", "ok", f"at {head}, the newest")
    try:
        with database.transaction() as tx:
            seen = workers.seen(tx, timings.alive)
        waiting = _backlog(database, timings)
    except NotMigrated:
        return
    yield from _alive(seen)
    yield _progress(waiting, seen, timings)


def _backlog(database: Database, timings: Timings) -> Backlog:
    """Looks again where nobody seems to work: between two shards, and when a job was just
    resumed or its window has just opened, nobody does for a moment."""
    for _ in range(_LOOKS):
        with database.transaction() as tx:
            found = backlog.look(tx)
        if not _is_stuck(found, timings):
            break
        sleep(timings.dispatch_interval)
    return found


def _is_stuck(found: Backlog, timings: Timings) -> bool:
    waits = found.validating + found.waiting > 0 and not found.running
    return waits and found.oldest >= timings.resend_after + timings.lease


def _broker(broker: Broker) -> Iterator[Finding]:
    try:
        health = broker.look()
    except BrokerUnreachable as error:
        do = "start it, or set GISTMILL_BROKER_URL; jobs are accepted, and run once it is back"
        yield Finding("broker", "failed", str(error), do)
        return
    says = f"{health.server} at {health.address}"
    if health.eviction not in (None, "noeviction"):
        policy = f"{says} may throw messages away: maxmemory-policy is {health.eviction}"
        yield Finding("broker", "warning", policy, "set maxmemory-policy noeviction")
    else:
        yield Finding("broker", "ok", f"{says}, {health.eviction or 'eviction policy unknown'}")
    yield _transport(health)


def _transport(health: BrokerHealth) -> Finding:
    if health.local:
        return Finding("broker's transport", "ok", "on this machine")
    if health.encrypted:
        return Finding("broker's transport", "ok", "TLS")
    says = "another machine, without TLS: its password can be read on the way"
    return Finding("broker's transport", "warning", says, "use rediss:// in GISTMILL_BROKER_URL")


def _alive(seen: list[Seen]) -> Iterator[Finding]:
    for role, command in (("dispatcher", "gistmill dispatch"), ("worker", "gistmill worker")):
        found = [each for each in seen if each.presence.role == role]
        if not found:
            yield Finding(role, "failed", "none is alive", f"{command}, or all: gistmill up")
        for each in found:
            yield _one(each)


def _one(each: Seen) -> Finding:
    who, ours = each.presence, version("gistmill")
    device = f" on {who.device}" if who.device else ""
    says = (
        f"{who.name}{device}, version {who.version}, seen {each.seconds_ago:.0f} s ago, "
        f"clock {_signed(each.clock_ahead)} s"
    )
    if who.version != ours:
        return Finding(who.role, "warning", f"{says}; here is {ours}", "install one version")
    if abs(each.clock_ahead) > _CLOCK_AHEAD:
        return Finding(who.role, "warning", says, f"set the clock of {who.host} (NTP)")
    return Finding(who.role, "ok", says)


def _signed(seconds: float) -> str:
    return f"{round(seconds, 1) + 0.0:+.1f}"  # and no -0.0


def _progress(waiting: Backlog, seen: list[Seen], timings: Timings) -> Finding:
    says = (
        f"{waiting.validating:,} job(s) to validate, {waiting.waiting:,} shard(s) waiting, "
        f"{waiting.running:,} running"
    )
    if not _is_stuck(waiting, timings):
        return Finding("queue", "ok", says)
    says = f"{says}: work, and no progress"
    if not any(each.presence.role == "worker" for each in seen):
        return Finding("queue", "failed", says, "start a worker: gistmill worker")
    return Finding("queue", "failed", says, "read the workers' logs, and start them again")
