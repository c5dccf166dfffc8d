"""How every process of ours writes its log: one event a line, to standard error.

Our events and those of libraries (Celery, kombu, transformers, warnings) come out in one
form: a JSON object, or on a terminal what a person reads. Passwords in URLs come out as
***. Importing this module costs nothing: structlog is imported by who logs.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TextIO

from jobs import settings

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger, ProcessorFormatter
    from structlog.typing import EventDict, Processor

Form = Literal["console", "json"]

# What an event is about stands first.
_ABOUT = ("job", "shard", "attempt")

# Up to the last @ of the word, as a password may hold one itself; and in a URL's query.
_PASSWORD = re.compile(r"(://[^\s:@/?#]*:)\S*@|([?&][^\s=&]*password=)[^\s&]*", re.IGNORECASE)


def form_of(wanted: Literal["auto", "console", "json"], out: TextIO) -> Form:
    """The form that is wanted; `auto` is for people on a terminal, and JSON elsewhere."""
    if wanted == "auto":
        return "console" if out.isatty() else "json"
    return wanted


def configure(form: Form, **process: str) -> None:
    """Log to standard error from now on. `process`, who we are, stands on each line of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    colours = sys.stderr.isatty() and settings.colour_wanted()
    handler.setFormatter(formatter(form, process, colours=colours))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("gistmill").setLevel(logging.INFO)
    logging.captureWarnings(True)


def get(name: str) -> BoundLogger:
    """A logger below the one named gistmill: events in plain words, their values as keys."""
    import structlog

    chain: list[Processor] = [
        structlog.stdlib.filter_by_level,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ]
    logger = logging.getLogger(f"gistmill.{name}")
    wrapped: BoundLogger = structlog.wrap_logger(
        logger, processors=chain, wrapper_class=structlog.stdlib.BoundLogger
    )
    return wrapped


@contextmanager
def about(**keys: Any) -> Iterator[None]:
    """Put `keys` on each line of this thread, libraries' lines included.

    An error that leaves the context takes them along: who logs it has them, too, until
    `about_nothing`.
    """
    from structlog import contextvars

    before = contextvars.bind_contextvars(**keys)
    yield
    contextvars.reset_contextvars(**before)


def about_nothing() -> None:
    """Forget what this thread's lines were about."""
    from structlog import contextvars

    contextvars.clear_contextvars()


def formatter(
    form: Form, process: dict[str, str] | None = None, *, colours: bool = False
) -> ProcessorFormatter:
    """Writes a record of the standard library, ours or not, as one event."""
    from structlog import contextvars, dev, processors, stdlib

    def say_who(_: Any, __: str, event: EventDict) -> EventDict:
        return {**(process or {}), **event}

    common: Sequence[Processor] = [
        contextvars.merge_contextvars,
        processors.format_exc_info,
        _in_plain_values,
    ]
    if form == "json":
        last: Sequence[Processor] = [say_who, _dated, processors.JSONRenderer()]
    else:
        renderer = dev.ConsoleRenderer(
            colors=colours, pad_event_to=0, sort_keys=False, timestamp_key="time"
        )
        last = [_timed, renderer]
    return stdlib.ProcessorFormatter(processors=[*common, *last])


def in_words(line: str) -> str:
    """A line of some log as a person reads it; one that is no event of ours stands as it is."""
    try:
        event = json.loads(line)
        words = [str(event["event"])]
    except (ValueError, TypeError, KeyError):
        return line
    keys = [key for key in event if key not in ("time", "level", "logger", "event")]
    return " ".join([*words, *(f"{key}={event[key]}" for key in keys)])


def timestamp(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 has them, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def without_passwords(text: str) -> str:
    """`text`, with *** for the password of each URL in it."""
    return _PASSWORD.sub(lambda found: f"{found[1]}***@" if found[1] else f"{found[2]}***", text)


def _in_plain_values(_: Any, __: str, event: EventDict) -> EventDict:
    meta = {key: event.pop(key) for key in ("_record", "_from_structlog")}
    keys = [*(key for key in _ABOUT if key in event), *(key for key in event if key not in _ABOUT)]
    plain = {key: _plain(event[key]) for key in keys}
    # Libraries write messages of several lines.
    lines = map(str.strip, str(plain["event"]).splitlines())
    return {**plain, "event": " ".join(filter(None, lines)), **meta}


def _plain(value: Any) -> Any:
    """As JSON has it, and without passwords."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {without_passwords(str(key)): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return without_passwords(str(value))


def _dated(_: Any, __: str, event: EventDict) -> EventDict:
    record = event.pop("_record")
    del event["_from_structlog"]
    return {
        "time": timestamp(record.created),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event.pop("event"),
        **event,
    }


def _timed(_: Any, __: str, event: EventDict) -> EventDict:
    record = event.pop("_record")
    del event["_from_structlog"]
    here = datetime.fromtimestamp(record.created).astimezone()
    shown = {key: _printable(value) for key, value in event.items()}
    return {"time": f"{here:%H:%M:%S}", "level": record.levelname.lower(), **shown}


def _printable(value: Any) -> Any:
    """Nothing that a terminal takes for a command; a traceback keeps its lines."""
    if not isinstance(value, str):
        return value
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in value)
