"""The files that documents lie in: opened, and known again. Wherever they lie, whatever is in them.

A file is stored as a JSON object, with its job or with a shard's position (`located.File`).
Before each read it is seen to be the one that was submitted.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

from jobs.allowed_sources import Allowed
from jobs.errors import JobError, NotAllowed, UsageError
from jobs.sources import compressed, places
from jobs.sources.located import File
from jobs.sources.opened import Opened, Unreadable, changed

# Files that are kept open, with what was read of them last: a few, for a few jobs at once.
_KEPT = 4


@contextmanager
def submitted(file: File, source: Mapping[str, Any], allowed: Allowed) -> Iterator[Opened]:
    """It, open, on the machine that submits it.

    Raises NotAllowed, NotFound, UsageError where it can not be used, Unreachable.
    """
    place = places.of_file(file)
    whole = {**source, **file}
    name = place.name(whole)
    with place.submitting(whole):
        opened = _open(place, whole, source, allowed)
        try:
            yield opened
        except Unreadable as error:
            raise UsageError(f"{name}: {error}") from None
        finally:
            opened.close()


class Files:
    """Opens the files of jobs, on the machine that is to read them.

    Keeps those that were read last, so that the next shard can go on where one ended. Any
    number of threads may use it: each has a file to itself.
    """

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        self._kept: list[Opened] = []
        self._lock = Lock()

    @contextmanager
    def opened(self, source: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[Opened]:
        """The file of a source, seen to be the one that was submitted. `file` is what a
        position says of it: nothing for the source's first.

        Raises JobError, and TransientError for trouble that may pass.
        """
        whole = {**source, **file}
        place = places.of_file(whole)
        name = place.name(whole)
        try:
            with place.working(whole):
                opened = self._known_again(_open(place, whole, source, self._allowed), whole)
                try:
                    yield opened
                except BaseException:
                    opened.close()
                    raise
        except NotAllowed as error:
            raise JobError("source_not_allowed", f"{error} on the worker") from None
        except Unreadable as error:
            raise JobError("source_unreadable", f"{name}: {error}") from None
        if opened.worth_keeping:
            self._keep(opened)
        else:
            opened.close()

    def close(self) -> None:
        """Let go of what is kept open."""
        with self._lock:
            kept, self._kept = self._kept, []
        for opened in kept:
            opened.close()

    def _known_again(self, fresh: Opened, whole: Mapping[str, Any]) -> Opened:
        """The same as it was kept, if it was, which is nearer to where the next shard begins."""
        if any(whole.get(name) != value for name, value in fresh.stamped.items()):
            fresh.close()
            raise changed(fresh.name)
        with self._lock:
            for number, kept in enumerate(self._kept):
                if _read_as(kept) == _read_as(fresh):
                    del self._kept[number]
                    break
            else:
                return fresh
        fresh.close()
        kept.source = fresh.source
        return kept

    def _keep(self, opened: Opened) -> None:
        with self._lock:
            self._kept.append(opened)
            several = len(self._kept) > _KEPT
            last = self._kept.pop(0) if several else None
        if last is not None:
            last.close()


def _read_as(opened: Opened) -> tuple[Any, ...]:
    """Where the same cursor may go on: one file can be read as of two kinds."""
    return opened.name, opened.stamped, opened.source.get("kind")


def _open(
    place: places.Place, whole: Mapping[str, Any], source: Mapping[str, Any], allowed: Allowed
) -> Opened:
    raw, stamp = place.open_file(whole, allowed.of(source))
    stamped = {place.KEY: whole[place.KEY], **stamp}
    name = place.name(whole)
    codec = compressed.codec(whole[place.KEY])
    file = compressed.plain(raw, codec) if codec else raw
    return Opened(name, file, stamped, source, compressed=codec is not None)
