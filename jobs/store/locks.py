"""Locks of PostgreSQL's that end with the transaction, so that nobody has to give them back."""

from sqlalchemy import func, select

from jobs.database import Transaction

# Names our lock among a database's advisory locks: "dispatch" in ASCII.
_DISPATCH = 0x6469737061746368


def try_dispatch(tx: Transaction) -> bool:
    """Whether this transaction is the one that dispatches now."""
    return bool(tx.execute(select(func.pg_try_advisory_xact_lock(_DISPATCH))).scalar_one())


def may_idle(tx: Transaction) -> None:
    """This transaction may stay open for as long as its input takes: nobody waits for it but
    who submits under the same key."""
    tx.execute(select(func.set_config("idle_in_transaction_session_timeout", "0", True)))
