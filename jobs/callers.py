"""Who asks, and what that may see and do.

Whoever can reach the database is one of the mill's own and may do all; over HTTP it is what a
token's scopes say.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from jobs.errors import NotAllowed

Scope = Literal["read", "submit", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, slots=True)
class Caller:
    """`token` is a token's id, and the owner of what it submits; None for the mill's own people."""

    token: str | None
    scopes: frozenset[Scope]

    @property
    def only(self) -> str | None:
        """The owner whose jobs it sees; None where it sees all."""
        return None if self.token is None or "admin" in self.scopes else self.token

    def may(self, scope: Scope) -> bool:
        """`admin` may all, and who may submit may read."""
        wider: dict[Scope, set[Scope]] = {"read": {"submit", "admin"}, "submit": {"admin"}}
        return scope in self.scopes or bool(wider.get(scope, set()) & self.scopes)

    def require(self, scope: Scope) -> None:
        """Raises NotAllowed."""
        if not self.may(scope):
            raise NotAllowed(
                f"this token may not do that: it lacks the scope {scope!r}; "
                f"make one with: gistmill token create NAME --scope {scope}"
            )


OWN = Caller(None, frozenset(SCOPES))
"""One of the mill's own people, or its own processes."""
