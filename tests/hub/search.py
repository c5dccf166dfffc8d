"""`GET /api/models` and `/api/datasets`: which repositories a query finds, a page at a time.

Takes what the clients send: `search`, `author`, `filter` (all of them), `pipeline_tag`,
`num_parameters`, `gated`, `sort` (always falling), `limit`, `expand`, `full`, and a cursor of
its own.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

PAGE = 4
"""Repositories in one answer. The hub's are of 1,000; here clients are to turn pages."""
_ALWAYS = ("_id", "id")
_LISTED = (
    "id",
    "likes",
    "trendingScore",
    "private",
    "downloads",
    "tags",
    "pipeline_tag",
    "library_name",
    "createdAt",
    "modelId",
    "gated",
)
_SORTS = ("downloads", "likes", "lastModified", "createdAt", "trendingScore")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}

Query = Mapping[str, Sequence[str]]


class BadQuery(Exception):
    """What the hub answers with 400."""


@dataclass(frozen=True, slots=True)
class Page:
    items: list[dict[str, Any]]
    next_query: str | None
    """Of the page after this one."""


def page(query: Query, infos: Iterable[dict[str, Any]]) -> Page:
    """Raises BadQuery."""
    found = [info for info in infos if _fits(info, query)]
    by = _one(query, "sort") or "trendingScore"
    if by not in _SORTS:
        raise BadQuery(f'"sort" must be one of {_SORTS}')
    found.sort(key=lambda info: info.get(by) or 0, reverse=True)
    start, limit = int(_one(query, "cursor") or 0), int(_one(query, "limit") or PAGE)
    stop = start + min(limit, PAGE)
    more = urlencode({**query, "cursor": stop}, doseq=True) if stop < len(found) else None
    return Page([expanded(info, query) for info in found[start:stop]], more)


def expanded(info: dict[str, Any], query: Query, whole: bool = False) -> dict[str, Any]:
    """Of what is known of a repository, what is asked for; with `whole`, all where none is."""
    asked = query.get("expand", query.get("expand[]", []))
    if not asked and (whole or "full" in query):
        return info
    names = (*_ALWAYS, *asked) if asked else _LISTED
    return {name: info[name] for name in names if name in info}


def _fits(info: dict[str, Any], query: Query) -> bool:
    words = [word for each in query.get("search", []) for word in each.lower().split()]
    author, task = _one(query, "author"), _one(query, "pipeline_tag")
    gated = _one(query, "gated")
    return (
        all(word in info["id"].lower() for word in words)
        and (author is None or info["id"].startswith(f"{author}/"))
        and {*query.get("filter", [])} <= {*info["tags"]}
        and (task is None or info.get("pipeline_tag") == task)
        and (gated is None or bool(info["gated"]) == (gated.lower() == "true"))
        and _is_of_size(info, _one(query, "num_parameters"))
    )


def _is_of_size(info: dict[str, Any], bounds: str | None) -> bool:
    if bounds is None:
        return True
    total = info.get("safetensors", {}).get("total")
    ends = dict(bound.split(":") for bound in bounds.split(","))
    least, most = _number(ends.get("min", "0")), _number(ends.get("max", "1000000T"))
    return total is not None and least <= total <= most


def _number(text: str) -> float:
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)([KMBT]?)", text)
    if parts is None:
        raise BadQuery(f'"num_parameters" can not be {text}')
    return float(parts[1]) * _UNITS[parts[2]]


def _one(query: Query, name: str) -> str | None:
    return next(iter(query.get(name, [])), None)
