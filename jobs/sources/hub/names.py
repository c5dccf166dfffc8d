"""Which dataset of the hub somebody means by a location, if any.

    EdinburghNLP/xsum                        where no file of that name is here
    EdinburghNLP/xsum@v1.0                   at a branch, a tag or a commit
    xsum                                     a name from before datasets had owners
    hf://datasets/ORG/NAME[@REV][/PATH]      files of it, by path; * and ** match several
    https://huggingface.co/datasets/...      as copied from a browser

Pure, but for the look whether such a file is here. What ends like a file of data, has more
than one slash, or begins with . or ~ or / is a path, whether it is there or not.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from jobs.allowed_sources import Allowed, is_url
from jobs.errors import NotAllowed, UsageError

_ID = re.compile(r"(?P<id>[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?)(@(?P<revision>[^@\s]+))?")
_DATA = re.compile(
    r"\.(jsonl?|ndjson|csv|tsv|parquet|arrow|txt|md)(\.(gz|zst|bz2|xz))?$|\.(gz|zst|bz2|xz|zip)$",
    re.IGNORECASE,
)
_ON_THE_WEB = ("https://huggingface.co/datasets/", "https://hf.co/datasets/")


@dataclass(frozen=True, slots=True)
class Named:
    """A dataset as somebody wrote it."""

    dataset: str
    """ORG/NAME, or NAME alone as some were called once."""
    revision: str | None = None
    path: str = ""
    """Of files in it; empty for the dataset as its card describes it."""

    @property
    def url(self) -> str:
        """Without its revision: what `allowed_sources` speaks of."""
        return f"hf://datasets/{self.dataset}/{self.path}".rstrip("/")


def is_url_of_hub(location: str) -> bool:
    return location.startswith(("hf://", *_ON_THE_WEB))


def is_id(text: str) -> bool:
    """Whether it is written as ORG/NAME, or ORG/NAME@REVISION."""
    found = _ID.fullmatch(text)
    return found is not None and "/" in found["id"] and not _is_data(found["id"])


def named(location: str, allowed: Allowed) -> Named | None:
    """None where it is a path, or the URL of something else.

    Raises UsageError for a URL of the hub that names no dataset.
    """
    if is_url_of_hub(location):
        return _of_url(location)
    found = _ID.fullmatch(location)
    if found is None or is_url(location) or _is_data(found["id"]) or _is_here(location, allowed):
        return None
    return Named(found["id"], found["revision"])


def _of_url(location: str) -> Named:
    from huggingface_hub.errors import HfUriError
    from huggingface_hub.utils import parse_hf_uri  # type: ignore[attr-defined]  # its documented home

    try:
        uri = parse_hf_uri(location)
    except HfUriError:
        uri = None
    if uri is None or uri.type != "dataset":
        raise UsageError(
            f"{location}: write hf://datasets/ORG/NAME, or hf://datasets/ORG/NAME/PATH"
        )
    return Named(uri.id, uri.revision, uri.path_in_repo)


def _is_data(name: str) -> bool:
    """One word with a dot in it is a file too: no dataset was called so."""
    return bool(_DATA.search(name)) or ("/" not in name and "." in name)


def _is_here(location: str, allowed: Allowed) -> bool:
    path = Path(location).absolute()
    try:
        allowed.check_path(path)  # nobody learns what lies where they may not read
    except NotAllowed:
        return False
    return os.path.exists(path)  # noqa: PTH110 - pathlib's raises where a name is too long
