"""Shards as workers work through them: each batch written down before it is begun, and stored
when it is done."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Text,
    and_,
    bindparam,
    cast,
    func,
    select,
    update,
)

from jobs.database import Transaction
from jobs.job import Batching, Portion, Row, Shard
from jobs.states import SHARD_IS_DONE
from jobs.store import clock, fairness, notes, parts, summaries
from jobs.store.conditions import NO_LEASE, NOTHING_IN_HAND, locked, mine, workable
from jobs.tables import JSONB, shards


def announce(
    tx: Transaction, held: Sequence[Shard], batch: Mapping[int, Sequence[int]], seconds: float
) -> set[int]:
    """Write down the batch that is begun next: by shard the documents, none for one that is
    only held meanwhile.

    The fence comes first. Returns the ids of the shards whose leases are not lost, and whose
    jobs go on; of the others nothing is written down.
    """
    going_on = set(locked(tx, and_(mine(held), workable())))
    # Not 0 even where nothing of the batch goes on: whoever is held then made no false start.
    size = sum(len(batch.get(shard_id, ())) for shard_id in going_on) or 1
    told = {"batch_size": size, "leased_until": clock.after(seconds)}
    begun = [
        {"shard": shard_id, "documents": list(indexes)}
        for shard_id, indexes in batch.items()
        if shard_id in going_on
    ]
    if begun:
        begin = update(shards).where(shards.c.id == bindparam("shard"))
        batch_of = bindparam("documents", type_=ARRAY(BigInteger))
        tx.execute(begin.values(next_batch=batch_of, false_starts=0, vanished=0, **told), begun)
    only_held = going_on - batch.keys()
    if only_held:
        hold = update(shards).where(shards.c.id.in_(only_held))
        tx.execute(hold.values(next_batch=[], **told))
    return going_on


def store(tx: Transaction, portions: Sequence[Portion], seconds: float) -> dict[int, list[Row]]:
    """Store rows, and close the shards whose last rows they are.

    The fence comes first. Returns, by the ids of the shards whose leases are not lost, the
    rows that were actually inserted, by which their counts grow; of the others nothing is stored.
    """
    ours = set(locked(tx, mine([portion.shard for portion in portions])))
    served: Counter[str] = Counter()
    inserted: dict[int, list[Row]] = {}
    kept = [portion for portion in portions if portion.shard.id in ours]
    for portion in kept:
        inserted[portion.shard.id], tokens = _store(tx, portion, seconds)
        served[portion.shard.fair_group] += tokens
    advanced = {portion.shard.job_id for portion in kept if portion.rows or portion.parts}
    for job_id in sorted(advanced):
        notes.clear(tx, job_id)
    # The last locks, and each in one order: they are shared with all who serve the same groups.
    for group, tokens in sorted(served.items()):
        if tokens:
            fairness.charge(tx, group, tokens)
    return inserted


def _store(tx: Transaction, portion: Portion, seconds: float) -> tuple[list[Row], int]:
    """Returns the rows that were inserted, and how many tokens its job was served: none for what
    was made for another document."""
    shard, rows = portion.shard, portion.rows
    moved = bool(parts.keep(tx, shard.job_id, portion.parts))
    stored = summaries.add(tx, shard.job_id, rows)
    moved = moved or bool(stored)
    # Of rows that were stored before, what they took is counted, too.
    batching = portion.batching if moved else Batching()
    busy_seconds = batching.generating_seconds + batching.waiting_seconds
    failed = sum(row.error_code is not None for row in stored)
    made = [row for row in stored if not row.reused]
    read = sum(row.input_tokens for row in made)
    written = sum(row.output_tokens for row in made)
    over = [row.index for row in rows]
    if shard.effective.long_documents == "map-reduce":
        parts.forget(tx, shard.job_id, over)
    progress: dict[str, Any] = {
        "completed": shards.c.completed + len(stored) - failed,
        "failed": shards.c.failed + failed,
        "reused": shards.c.reused + len(stored) - len(made),
        "input_tokens": shards.c.input_tokens + read,
        "output_tokens": shards.c.output_tokens + written,
        "busy_seconds": shards.c.busy_seconds + busy_seconds,
        **{name: shards.c[name] + more for name, more in asdict(batching).items()},
        "suspects": _suspects(portion),
        "next_batch": _without(over),
        "leased_until": clock.after(seconds),
    }
    if moved:
        progress |= {"tries": 0}
    if portion.done:
        progress |= {"state": SHARD_IS_DONE.target, "finished_at": clock.now()}
        progress |= {**NO_LEASE, **NOTHING_IN_HAND}
    tx.execute(update(shards).where(shards.c.id == shard.id).values(**progress))
    return stored, read + written


def _suspects(portion: Portion) -> ColumnElement[Any]:
    """Without documents that are over; those that a part was done of did not kill this time."""
    over = {row.index for row in portion.rows}
    moved = {part.index for part in portion.parts} & portion.shard.suspects.keys() - over
    gone = cast([str(index) for index in over], ARRAY(Text))
    left = shards.c.suspects.op("-", return_type=JSONB)(gone)
    return left + cast({str(index): 0 for index in moved}, JSONB) if moved else left


def _without(over: Sequence[int]) -> ColumnElement[Any]:
    """The batch at hand without documents that are over: nobody dies of those any more."""
    index = func.unnest(shards.c.next_batch).column_valued("index")
    left = select(index).correlate(shards).where(index.not_in(over))
    return func.array(left.scalar_subquery(), type_=ARRAY(BigInteger))
