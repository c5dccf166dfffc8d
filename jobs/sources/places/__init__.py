"""The places that files lie in. One file for each; what is in a file they do not know.

    local   a path on this machine, a folder, or a pattern of paths
    urls    whatever fsspec opens: s3://, https://, gs:// ...
    hub     datasets of the Hugging Face hub, and files in them

A file of a place has a key of that place's own, which says where it is (`located.File`).
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Protocol

from jobs.allowed_sources import Allowed, is_url
from jobs.errors import JobError, UsageError
from jobs.sources.asked import Asked
from jobs.sources.hub.names import named
from jobs.sources.located import Located
from jobs.sources.places import hub, local, urls


class Place(Protocol):
    """A module of `jobs.sources.places`."""

    KEY: str

    def find(self, location: str, asked: Asked, allowed: Allowed) -> Located:
        """Raises NotAllowed, NotFound where there is nothing, UsageError, Unreachable."""

    def name(self, file: Mapping[str, Any]) -> str:
        """For messages: without secrets."""

    def open_file(
        self, file: Mapping[str, Any], allowed: Allowed
    ) -> tuple[BinaryIO, dict[str, Any]]:
        """It, and its stamp as it is now. Within one of the two below; raises NotAllowed too."""

    def submitting(self, file: Mapping[str, Any]) -> AbstractContextManager[None]:
        """In which what goes wrong with the file is what the submitter can mend: NotFound,
        UsageError, Unreachable."""

    def working(self, file: Mapping[str, Any]) -> AbstractContextManager[None]:
        """In which what goes wrong with the file is a JobError, or a TransientError where it
        may pass."""


_PLACES: tuple[Place, ...] = (local, urls, hub)


def of_location(location: str, asked: Asked, allowed: Allowed) -> Place:
    """`allowed` says whether to look if there is a path of that name. Raises UsageError for what
    is asked of a dataset of the hub, and is none."""
    if not location:
        raise UsageError("source: it is empty; name a file, or write . for this folder")
    if named(location, allowed) is not None:
        return hub
    if asked.config or asked.revision:
        raise UsageError(f"{location}: --config and --revision are for datasets of the hub")
    return urls if is_url(location) and not local.is_here(location) else local


def of_file(file: Mapping[str, Any]) -> Place:
    """Raises JobError for a place of a later version."""
    for place in _PLACES:
        if place.KEY in file:
            return place
    raise JobError("source_unreadable", "this worker does not know the place of the source")
