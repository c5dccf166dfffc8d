"""Where a dataset's card says that its files lie, looked at before `datasets` follows it.

`datasets` takes any path and URL there: of this machine, of another server, of another dataset.
Whoever asks for a dataset, or wrote its card, must not make us look at those.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jobs.sources.hub.repository import Repository

_PLACES = ("data_files", "data_dir")


def elsewhere(repository: Repository) -> str | None:
    """The first of its places that is not in the repository, if there is one.

    Raises ValueError where the card is none, and what the hub's client raises.
    """
    configs = _said(repository).get("configs") or []
    for config in configs if isinstance(configs, list) else []:
        places = [config.get(name) for name in _PLACES] if isinstance(config, dict) else []
        for place in _texts(places):
            if _leads_out(place):
                return place
    return None


def _said(repository: Repository) -> dict[str, Any]:
    """As `datasets` reads it: the card, and what replaces parts of it."""
    import yaml
    from datasets.config import REPOCARD_FILENAME, REPOYAML_FILENAME
    from huggingface_hub import DatasetCard

    said: dict[str, Any] = {}
    if (path := _had(repository, REPOCARD_FILENAME)) is not None:
        said |= DatasetCard.load(path).data.to_dict()
    if (path := _had(repository, REPOYAML_FILENAME)) is not None:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        said |= found if isinstance(found, dict) else {}
    return said


def _had(repository: Repository, name: str) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return Path(
            hf_hub_download(
                repository.dataset, name, repo_type="dataset", revision=repository.commit
            )
        )
    except EntryNotFoundError:
        return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _leads_out(place: str) -> bool:
    try:
        has_scheme = bool(urlsplit(place).scheme)
    except ValueError:
        return True
    return has_scheme or place.startswith("/") or "::" in place or ".." in place.split("/")
