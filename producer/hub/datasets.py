"""Datasets on the hub: a search. What is in one of them, `producer.hub.contents` finds out."""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from jobs import hub
from jobs.errors import UsageError
from jobs.hub import plain
from producer.hub.models import SORTS

if TYPE_CHECKING:
    from huggingface_hub.hf_api import DatasetInfo

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)([KMBT]?)")
_ENDS = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
_BETWEEN = {f"{low}-{high}": f"{low}<n<{high}" for low, high in pairwise(_ENDS)}
_SIZES = ("n<1K", *_BETWEEN.values(), "n>1T")
"""Categories of the hub, from small to large."""


@dataclass(frozen=True, slots=True)
class HubDataset:
    """A dataset as the hub describes it."""

    id: str
    revision: str | None
    size: str | None
    """A category of the hub's, such as 10K<n<100K: rows, as the card or the hub says."""
    license: str | None
    languages: tuple[str, ...]
    tasks: tuple[str, ...]
    gated: bool
    downloads: int
    """In the last 30 days."""
    likes: int


def search(
    words: str = "",
    *,
    task: str | None = None,
    size: str | None = None,
    language: str | None = None,
    license: str | None = None,  # noqa: A002 - what the hub calls it
    author: str | None = None,
    sort: str = "downloads",
    limit: int = 20,
) -> list[HubDataset]:
    """At most `limit` datasets, the first by `sort` first; all of what is given holds for each.

    `task`: a task category of the hub. `size`: as `size_category` takes it. `language`: as in
    its tags, "en". `sort`: one of `SORTS`. Raises UsageError, NotFound, NotAllowed and
    Unreachable.
    """
    from huggingface_hub import HfApi

    category = size_category(size) if size else None
    what = words or "datasets"
    hub.check_that_it_answers(what)
    with hub.asking(what):
        found = HfApi().list_datasets(
            search=words or None,
            task_categories=task,
            size_categories=category,
            language=language,
            filter=f"license:{license.lower()}" if license else None,
            author=author,
            sort=SORTS[sort],
            limit=limit,
            expand=["downloads", "gated", "likes", "sha", "tags"],
        )
        return [told(info) for info in found]


def size_category(text: str) -> str:
    """What the hub calls a size: given so ("10K<n<100K"), as a range that needs no quotes in a
    shell ("10K-100K", "<1K", ">1T"), or as a number of rows that is in it ("50K").

    Raises UsageError for what is none.
    """
    asked = text.replace(" ", "").upper().replace("N", "n")
    if asked in _SIZES:
        return asked
    if asked in _BETWEEN:
        return _BETWEEN[asked]
    if asked in ("<1K", ">1T"):
        return f"n{asked}"
    if found := _NUMBER.fullmatch(asked):
        rows = float(found[1]) * _UNITS[found[2]]
        return _SIZES[sum(rows >= _UNITS[end[-1]] * int(end[:-1]) for end in _ENDS)]
    raise UsageError(
        f"size {text!r}: write rows, as 50K, or one of <1K, {', '.join(_BETWEEN)}, >1T"
    )


def told(info: "DatasetInfo") -> HubDataset:
    """`info` of `list_datasets` or `dataset_info`."""
    tags = [plain(tag) for tag in info.tags or []]
    return HubDataset(
        id=plain(info.id),
        revision=plain(info.sha) if info.sha else None,
        size=next(iter(_tagged(tags, "size_categories")), None),
        license=next(iter(_tagged(tags, "license")), None),
        languages=_tagged(tags, "language"),
        tasks=_tagged(tags, "task_categories"),
        gated=bool(info.gated),
        downloads=info.downloads or 0,
        likes=info.likes or 0,
    )


def _tagged(tags: list[str], name: str) -> tuple[str, ...]:
    prefix = f"{name}:"
    return tuple(tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix))
