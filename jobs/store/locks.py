"""Locks of PostgreSQL's that end with the transaction, so that nobody has to give them back."""

from sqlalchemy import func, select

from jobs.database import Transaction

# Names our lock among a database's advisory locks: "dispatch" in ASCII.
_DISPATCH = 0x6469737061746368
# A dispatcher that stops in the middle, its machine asleep perhaps, loses the lock after this.
# Only here: who submits may hold a transaction open for as long as the input takes.
_IDLE = "30s"


def try_dispatch(tx: Transaction) -> bool:
    """Whether this transaction is the one that dispatches now."""
    tx.execute(select(func.set_config("idle_in_transaction_session_timeout", _IDLE, True)))
    return bool(tx.execute(select(func.pg_try_advisory_xact_lock(_DISPATCH))).scalar_one())
