"""What all processes of a mill know and nobody else, by name: made when it is first asked for."""

import secrets

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert

from jobs.database import Transaction
from jobs.tables import secrets as known

_BYTES = 32


def secret(tx: Transaction, name: str) -> bytes:
    """Asked for with each request of a browser: only the first one writes."""
    found = tx.execute(_named(name)).scalar_one_or_none()
    if found is None:
        tx.execute(insert(known).values(name=name, value=_fresh()).on_conflict_do_nothing())
        found = tx.execute(_named(name)).scalar_one()
    return bytes.fromhex(found)


def renew(tx: Transaction, name: str) -> None:
    """From now on it is another."""
    value = _fresh()
    row = insert(known).values(name=name, value=value)
    tx.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


def _named(name: str) -> Select[str]:
    return select(known.c.value).where(known.c.name == name)


def _fresh() -> str:
    return secrets.token_hex(_BYTES)
