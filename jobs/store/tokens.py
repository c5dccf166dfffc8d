"""Tokens: what their holders may do. Of a token itself only a digest is kept."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import exists, insert, or_, select, update

from jobs.callers import Caller, Scope
from jobs.database import Transaction
from jobs.errors import NotFound
from jobs.store import clock
from jobs.tables import tokens

_PREFIX = "gm_"


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token, without what only its holder knows."""

    id: str
    name: str
    scopes: list[str]
    created_at: datetime
    revoked_at: datetime | None


def create(tx: Transaction, name: str, scopes: Collection[Scope]) -> str:
    """Returns the token, which can not be read again: 256 random bits, so that one pass of
    SHA-256 over it is enough."""
    token = _PREFIX + secrets.token_urlsafe(32)
    values: dict[str, Any] = {
        "id": "tok_" + secrets.token_hex(6),
        "name": name,
        "digest": _digest(token),
        "scopes": sorted(scopes),
    }
    tx.execute(insert(tokens).values(values))
    return token


def caller(tx: Transaction, token: str) -> Caller | None:
    """Who holds it; None where nobody does, or it was revoked."""
    live = select(tokens.c.id, tokens.c.scopes).where(
        tokens.c.digest == _digest(token), tokens.c.revoked_at.is_(None)
    )
    row = tx.execute(live).one_or_none()
    return None if row is None else Caller(row.id, frozenset(row.scopes))


def holder(tx: Transaction, token_id: str) -> Caller | None:
    """Who holds the token of this id; None where there is none, or it was revoked."""
    live = select(tokens.c.scopes).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None))
    scopes = tx.execute(live).scalar_one_or_none()
    return None if scopes is None else Caller(token_id, frozenset(scopes))


def any_made(tx: Transaction) -> bool:
    """Whether there ever was one."""
    return bool(tx.execute(select(exists().select_from(tokens))).scalar_one())


def any_live(tx: Transaction) -> bool:
    found = select(exists().where(tokens.c.revoked_at.is_(None)))
    return bool(tx.execute(found).scalar_one())


def listed(tx: Transaction) -> list[TokenRecord]:
    """The oldest first, revoked ones included."""
    columns = [tokens.c[name] for name in TokenRecord.__dataclass_fields__]
    found = tx.execute(select(*columns).order_by(tokens.c.created_at, tokens.c.id)).mappings()
    return [TokenRecord(**row) for row in found]


def revoke(tx: Transaction, named: str) -> list[str]:
    """Revoke the live tokens of this id or name; returns their ids. Raises NotFound."""
    fits = or_(tokens.c.id == named, tokens.c.name == named)
    revoked = (
        update(tokens)
        .where(fits, tokens.c.revoked_at.is_(None))
        .values(revoked_at=clock.now())
        .returning(tokens.c.id)
    )
    ids = list(tx.execute(revoked).scalars())
    if not ids:
        raise NotFound(f"no live token {named!r}; `gistmill token ls` lists them")
    return ids


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
