"""Datasets as the hub converts them to Parquet, at `refs/convert/parquet`.

It does so for `main` alone, and of a large dataset for the first part of each split only.
"""

import re

from jobs.errors import NotFound, UsageError
from jobs.hub import asking
from jobs.sources.hub.repository import File, Repository, everything, unknown

REVISION = "refs/convert/parquet"

_FILE = re.compile(r"(?P<config>[^/]+)/(?P<split>[^/]+)/\d{4,}\.parquet")


def part(split: str) -> str:
    """What the hub calls the first part of a split that is too large for it."""
    return f"partial-{split}"


def conversion(repository: Repository, reason: str) -> Repository:
    """Raises NotFound where there is none, and for a revision that was not converted."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RevisionNotFoundError

    dataset = repository.dataset
    how = f"name files of it, as in hf://datasets/{dataset}/FILE"
    with asking(dataset):
        if HfApi().dataset_info(dataset).sha != repository.commit:
            raise NotFound(f"{dataset}: {reason}, and the hub converts main alone; {how}")
        try:
            sha = HfApi().dataset_info(dataset, revision=REVISION).sha
        except RevisionNotFoundError:
            reason = f"{dataset}: {reason}, and the hub has not converted it to Parquet; {how}"
            raise NotFound(reason) from None
    return Repository(dataset, REVISION, str(sha))


def config(repository: Repository, name: str | None) -> tuple[str, dict[str, list[File]]]:
    """`CONFIG/SPLIT/0000.parquet` and so on."""
    found: dict[str, dict[str, list[File]]] = {}
    for file in everything(repository):
        if parts := _FILE.fullmatch(file.path):
            splits = found.setdefault(parts["config"], {})
            splits.setdefault(parts["split"], []).append(file)
    if not found:
        raise NotFound(f"{repository.dataset}: {REVISION} holds no Parquet files")
    if name is None and len(found) > 1 and "default" not in found:
        raise UsageError(f"{repository.dataset}: choose one with --config: {', '.join(found)}")
    name = name or ("default" if "default" in found else next(iter(found)))
    if name not in found:
        raise unknown(repository.dataset, "config", name, found)
    return name, found[name]
