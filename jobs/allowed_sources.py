"""Below which folders, and which beginnings of URLs, documents may lie.

Names what is refused and opens nothing. A path is what it leads to once all links are
followed. A URL must have the scheme, host and port of an allowed one, and a path below its
path; one that others could read differently than we do is refused.
"""

import fcntl
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import SplitResult, unquote, urlsplit

from jobs.errors import NotAllowed

_URL = re.compile("[a-zA-Z][a-zA-Z0-9+.-]*://")
_PORTS = {"http": 80, "https": 443}
# Control characters, and what some take for a slash.
_AMBIGUOUS = re.compile(r"[\x00-\x1f\x7f\\]")


def is_url(text: str) -> bool:
    """Whether it is one rather than a path; a file of such a name can be written ./NAME."""
    return bool(_URL.match(text))


def is_root(source: str) -> bool:
    """Whether something can lie below it: an absolute folder, or the beginning of a URL."""
    if source.startswith("/"):
        return True
    root = _parsed(source)
    return root is not None and not (root.query or root.fragment)


def without_secrets(url: str) -> str:
    """Without user and password, and without its query, where signed URLs have what nobody else
    should know."""
    return re.sub(r"(?<=//).*@|[?#].*", "…", url)


@dataclass(frozen=True, slots=True)
class Allowed:
    """`sources` is the setting `allowed_sources`: folders and URLs, or None for anywhere."""

    sources: tuple[str, ...] | None
    uploads: str | None = None
    """Below it lies what was uploaded over HTTP, a folder or a URL: by each for themselves, so that
    nothing may be named there by where it lies, whatever `sources` are."""

    def of(self, source: Mapping[str, Any]) -> "Allowed":
        """What holds for a job's source: uploads may be read wherever they are kept."""
        if self.sources is None or self.uploads is None or "upload" not in source:
            return self
        return Allowed((*self.sources, self.uploads))

    def check_path(self, path: Path) -> None:
        """Raises NotAllowed, whether there is such a file or not."""
        self._check_real(os.path.realpath(path), path)

    def check_opened(self, file: IO[bytes], path: Path) -> None:
        """Raises NotAllowed where the file that was opened, as `path`, lies elsewhere.

        The kernel says where: what was checked before may have become a link since.
        """
        self._check_real(_real_path(file), path)

    def check_url(self, url: str) -> None:
        """Raises NotAllowed."""
        if self.sources is None:
            return
        asked = _parsed(url)
        roots = [_parsed(source) for source in self.sources if is_url(source)]
        kept = _parsed(self.uploads) if self.uploads and is_url(self.uploads) else None
        is_kept = asked is not None and kept is not None and _is_below(asked, kept)
        if asked is None or is_kept or not any(_is_below(asked, root) for root in roots if root):
            raise self._refusal(without_secrets(url))

    def _check_real(self, real: str, path: Path) -> None:
        if self.sources is None:
            return
        kept = [self.uploads] if self.uploads else []
        if _lies_below(real, kept) or not _lies_below(real, self.sources):
            raise self._refusal(str(path))

    def _refusal(self, what: str) -> NotAllowed:
        where = ", ".join(self.sources or ()) or "nothing"
        mend = "move it there, or widen that setting (`gistmill config` shows where it stands)"
        return NotAllowed(f"{what}: not below what allowed_sources names ({where}); {mend}")


def _lies_below(real: str, roots: Iterable[str]) -> bool:
    """Whether it does below one of them that is a folder."""
    folders = [os.path.realpath(each) for each in roots if not is_url(each)]
    return any(real == each or real.startswith(each.rstrip("/") + "/") for each in folders)


def _real_path(file: IO[bytes]) -> str:
    if sys.platform == "darwin":
        name = fcntl.fcntl(file.fileno(), fcntl.F_GETPATH, bytes(1024))
        return os.fsdecode(name.rstrip(b"\0"))
    return str(Path(f"/proc/self/fd/{file.fileno()}").readlink())


def _parsed(url: str) -> SplitResult | None:
    """None for one that is not to be trusted to mean what it seems to."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    # In query and fragment too: to a store of objects they are part of the name.
    segments = re.split("[/?#]", _decoded(url))
    tricky = " " in url or _AMBIGUOUS.search(_decoded(url)) or {"@", "%"} & {*parts.netloc}
    return None if tricky or not parts.hostname or {".", ".."} & {*segments} else parts


def _decoded(text: str) -> str:
    """Until nothing is percent-encoded: a server behind another may decode twice."""
    while (once := unquote(text)) != text:
        text = once
    return text


def _is_below(asked: SplitResult, root: SplitResult) -> bool:
    path = root.path.rstrip("/")
    return _origin(asked) == _origin(root) and (
        asked.path == path or asked.path.startswith(f"{path}/")
    )


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    host = (parts.hostname or "").rstrip(".")
    return parts.scheme, host, parts.port or _PORTS.get(parts.scheme)
