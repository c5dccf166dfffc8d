"""`python -m tests.faults.producer WORDS`: a command that kills or stops itself at a chosen place.

For `submit` and `dispatch`; what they are told to do to themselves stands in the environment.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

import gistmill
from jobs.broker import Broker
from producer import dispatch, submit

VARIABLE = "FAULTS_PRODUCER"

Place = Literal["submitting", "dispatching", "sending"]
"""Before a submission's commit; before the commit of a dispatcher's turn that will send
something; before a message is sent, which is after the commit."""


class Blow(BaseModel):
    """What a process does to itself, once."""

    place: Place
    signal: int
    after: int = 0
    """So often the place is passed unharmed."""
    mark: Path
    """A file that is made just before."""


class _Struck:
    """A function that is called as it is, but that the blow falls before or after it."""

    def __init__(self, blow: Blow) -> None:
        self._blow = blow
        self._passed = 0

    def strike(self) -> None:
        self._passed += 1
        if self._passed == self._blow.after + 1:
            self._blow.mark.touch()
            os.kill(os.getpid(), self._blow.signal)

    def after(self, work: Callable[..., Any], happened: Callable[..., bool]) -> Callable[..., Any]:
        def struck(*given: Any) -> Any:
            result = work(*given)
            if happened(*given):
                self.strike()
            return result

        return struck

    def before(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def struck(*given: Any) -> Any:
            self.strike()
            return work(*given)

        return struck


def _prepare(blow: Blow) -> None:
    struck = _Struck(blow)
    if blow.place == "submitting":
        submit._finish = struck.after(submit._finish, lambda *_: True)
    elif blow.place == "dispatching":
        dispatch._choose = struck.after(dispatch._choose, _has_chosen)
    else:
        Broker._send = struck.before(Broker._send)  # type: ignore[method-assign]


def _has_chosen(tx: object, turn: dispatch.Turn, *_: object) -> bool:
    return bool(turn.shards)


if __name__ == "__main__":
    _prepare(Blow.model_validate_json(os.environ[VARIABLE]))
    gistmill.main()
