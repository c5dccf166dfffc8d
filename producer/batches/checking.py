"""A batch's file, line by line: that it asks one thing of one model, or what is wrong where.

Memory stays flat but for 24 bytes a line: of a `custom_id` only a digest is kept, to find those
that come twice.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import islice
from typing import Any

from jobs import model_names
from jobs.documents import record_of_line, storable
from jobs.errors import NotAllowed, UsageError
from jobs.parameters import refuse_for_lead
from jobs.sources.opened import Unreadable
from producer.batches import bodies
from producer.batches.bodies import Asked, Wrong

ENDPOINT = "/v1/chat/completions"
MOST_ERRORS = 100
"""Lines that are listed; the file is not read on after so many."""
_LONGEST_ID = 512


@dataclass(frozen=True, slots=True)
class BadLine:
    """What is wrong with a line, as OpenAI says it; `line` counts from 1, and is None for the
    file as a whole."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """`asked` is what all lines ask for; None where there are `errors`."""

    asked: Asked | None
    errors: list[BadLine] = field(default_factory=list)
    model: str | None = None
    """That of the first line that names one."""


def check(lines: Iterable[bytes], settled: Callable[[str], str] = model_names.settled) -> Checked:
    """`lines` may raise Unreadable. `settled` makes of a model's name the one to store, or raises
    UsageError or NotAllowed."""
    checker = _Checker(settled)
    errors = list(islice(_wrong(lines, checker), MOST_ERRORS))
    errors += checker.duplicates()
    if not errors and checker.first is None:
        message = "the file has no request; write one a line"
        errors.append(BadLine("empty_file", message))
    errors.sort(key=lambda each: each.line or 0)
    asked = None if errors or checker.first is None else checker.first.asked
    return Checked(asked, errors[:MOST_ERRORS], checker.model)


def _wrong(lines: Iterable[bytes], checker: "_Checker") -> Iterator[BadLine]:
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            if line.isspace():
                continue
            try:
                checker.look(number, line)
            except Wrong as wrong:
                yield BadLine(wrong.code, wrong.message, wrong.param, number)
    except Unreadable as error:  # what is behind it can not be told apart
        yield BadLine("invalid_json_line", str(error), line=number + 1)


@dataclass(frozen=True, slots=True)
class _First:
    """The first good line, which the others are compared with."""

    line: int
    rest: Mapping[str, Any]
    asked: Asked


class _Checker:
    def __init__(self, settled: Callable[[str], str]) -> None:
        self._settled = settled
        self.first: _First | None = None
        self.model: str | None = None
        self._digests = bytearray()
        self._lines = array("Q")

    def look(self, number: int, line: bytes) -> None:
        """Raises Wrong."""
        record = record_of_line(line)
        if record.error is not None:
            message = f"{record.error[1]}; write one JSON object a line"
            raise Wrong("invalid_json_line", message)
        request = record.value
        self._note_id(number, request.get("custom_id"))
        _check_target(request)
        body = request.get("body")
        if not isinstance(body, dict):
            raise Wrong("missing_required_parameter", "body: the request, an object", "body")
        self._compare(number, bodies.rest_of(body), bodies.prompt_of(body))

    def duplicates(self) -> list[BadLine]:
        """Each line whose custom_id another one before it has."""
        import numpy as np

        digests = np.frombuffer(self._digests, dtype=[("high", "u8"), ("low", "u8")])
        order = np.lexsort((digests["low"], digests["high"]))  # keeps the order of lines
        ordered = digests[order]
        again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
        pairs = sorted((int(order[at]), int(order[at - 1])) for at in again)
        return [
            BadLine(
                "duplicate_custom_id",
                f"line {self._lines[before]} has the same custom_id; give each its own",
                "custom_id",
                self._lines[this],
            )
            for this, before in pairs[:MOST_ERRORS]
        ]

    def _note_id(self, number: int, given: object) -> None:
        if not isinstance(given, str) or not given:
            message = "custom_id: a text that no other line has"
            raise Wrong("missing_required_parameter", message, "custom_id")
        if len(given) > _LONGEST_ID or storable(given) != given:
            message = f"custom_id: at most {_LONGEST_ID} characters, none of them NUL"
            raise Wrong("invalid_value", message, "custom_id")
        self._digests += blake2b(given.encode(), digest_size=16).digest()
        self._lines.append(number)

    def _compare(self, number: int, rest: Mapping[str, Any], prompt: str | None) -> None:
        first = self.first
        if first is not None and rest == first.rest and prompt == first.asked.prompt:
            return
        asked = self._checked(bodies.asked(rest, prompt))
        if self.model is None:
            self.model = asked.model
        if first is None:
            self.first = _First(number, rest, asked)
        else:
            _refuse_another(asked, first)

    def _checked(self, asked: Asked) -> Asked:
        """By its model's own name, and that this can do it as far as that is known here."""
        try:
            model = self._settled(asked.model)
        except (UsageError, NotAllowed) as error:
            raise Wrong("model_not_found", str(error), "body.model") from None
        if model_names.is_lead(model):
            try:
                refuse_for_lead(model, asked.parameters, None)
            except UsageError as error:
                raise Wrong("unsupported_parameter", str(error)) from None
        return replace(asked, model=model)


def _check_target(request: Mapping[str, Any]) -> None:
    if request.get("method") != "POST":
        raise Wrong("invalid_method", "method: write POST", "method")
    if request.get("url") != ENDPOINT:
        raise Wrong("invalid_url", f"url: write {ENDPOINT}, the batch's endpoint", "url")


def _refuse_another(asked: Asked, first: _First) -> None:
    line, than = first.line, first.asked
    if asked.model != than.model:
        message = f"model: line {line} names {than.model}; a batch is for one model"
        raise Wrong("mismatched_model", message, "body.model")
    if asked.prompt != than.prompt:
        message = f"messages: line {line} has another system message; a batch has one"
        raise Wrong("mismatched_parameters", message, "body.messages")
    if asked.parameters != than.parameters:
        name = _what_differs(asked, than)
        message = f"{name}: differs from line {line}; a batch has the same for all"
        raise Wrong("mismatched_parameters", message, f"body.{name}")


def _what_differs(asked: Asked, than: Asked) -> str:
    a, b = ({**each.parameters.model_dump(), **each.parameters.generate} for each in (asked, than))
    names = [name for name in {**a, **b} if name != "generate" and a.get(name) != b.get(name)]
    # The name that they gave it.
    return "max_tokens" if names[0] == "max_new_tokens" else names[0]
