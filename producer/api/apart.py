"""What may take long, in threads of its own: all others go on while it does.

Whoever comes when they are all in use waits, and holds no thread meanwhile.
"""

from collections.abc import Callable, Coroutine
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread

P = ParamSpec("P")
T = TypeVar("T")


class Apart:
    """Decorates endpoints, `most` of which may be under way at once, whichever."""

    def __init__(self, most: int) -> None:
        self._threads = CapacityLimiter(most)

    def __call__(self, endpoint: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
        @wraps(endpoint)
        async def waiting(*args: P.args, **kwargs: P.kwargs) -> T:
            return await to_thread.run_sync(
                partial(endpoint, *args, **kwargs), limiter=self._threads
            )

        return waiting
