"""Datasets of the Hugging Face hub, and files in them.

A file is known by its path in the repository, at the commit that its job was submitted with:
there it never changes, whatever `main` becomes.
"""

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from typing import Any, BinaryIO

from jobs.allowed_sources import Allowed
from jobs.errors import JobError, NotAllowed, NotFound, TransientError, Unreachable, UsageError
from jobs.hub import asking
from jobs.sources.asked import Asked
from jobs.sources.hub import configs, reading, repository, splits
from jobs.sources.hub.configs import Config
from jobs.sources.hub.names import Named, named
from jobs.sources.hub.repository import File as HubFile
from jobs.sources.hub.repository import Repository
from jobs.sources.located import Count, File, Located, Rows

KEY = "hub_file"

_OF_THIS_MACHINE = {errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EROFS}
"""Troubles with the folder of the hub's cache."""


def find(location: str, asked: Asked, allowed: Allowed) -> Located:
    meant = named(location, allowed)
    if meant is None:
        raise UsageError(f"{location}: no dataset of the hub is called so")
    allowed.check_url(meant.url)
    found = _resolve(location, meant, _revision(meant, asked))
    meant = replace(meant, dataset=found.dataset)  # it may have been moved
    allowed.check_url(meant.url)
    return _files(meant, found, asked) if meant.path else _split(found, asked)


def name(file: Mapping[str, Any]) -> str:
    return _repository(file).url(file[KEY])


def open_file(file: Mapping[str, Any], allowed: Allowed) -> tuple[BinaryIO, dict[str, Any]]:
    allowed.check_url(f"hf://datasets/{file['dataset']}/{file[KEY]}")
    opened = reading.opened(_repository(file), HubFile(file[KEY], file["size"]))
    size = opened.seek(0, 2)
    opened.seek(0)
    return opened, {"size": size}


@contextmanager
def submitting(file: Mapping[str, Any]) -> Iterator[None]:
    try:
        with _answers(file):
            yield
    except _Here as error:
        raise NotFound(str(error)) from None


@contextmanager
def working(file: Mapping[str, Any]) -> Iterator[None]:
    try:
        with _answers(file):
            yield
    except _Here as error:  # a disk that is full may be emptied
        raise TransientError("source_unreadable", str(error)) from None
    except Unreachable as error:
        raise TransientError("hub_unreachable", str(error)) from None
    except NotFound as error:
        raise JobError("source_unreadable", str(error)) from None
    except NotAllowed as error:
        if error.__cause__ is None:  # our own setting says so, and not the hub
            raise
        raise JobError("source_unreadable", f"{error} on the worker") from None


class _Here(Exception):
    """What is wrong is on this machine, and not on the hub."""


@contextmanager
def _answers(file: Mapping[str, Any]) -> Iterator[None]:
    """Raises NotFound, NotAllowed, Unreachable and _Here."""
    with asking(file["dataset"]):
        try:
            yield
        except OSError as error:
            if error.errno not in _OF_THIS_MACHINE:
                raise
            where = error.filename or "the hub's cache"
            raise _Here(f"{name(file)}: {where}: {error.strerror}") from None


def _resolve(location: str, meant: Named, revision: str | None) -> Repository:
    from huggingface_hub.errors import RevisionNotFoundError

    try:
        return repository.resolve(meant.dataset, revision)
    except (NotFound, Unreachable) as error:
        if location.startswith(meant.dataset) and not isinstance(
            error.__cause__, RevisionNotFoundError
        ):
            raise type(error)(f"no file {location} here; as a dataset: {error}") from None
        raise


def _revision(meant: Named, asked: Asked) -> str | None:
    if meant.revision and asked.revision and meant.revision != asked.revision:
        raise UsageError(f"{meant.revision!r} and --revision {asked.revision!r}: name one of them")
    return meant.revision or asked.revision


def _files(meant: Named, found: Repository, asked: Asked) -> Located:
    """Those of a path or pattern."""
    if asked.split or asked.config:
        raise UsageError(
            f"{meant.url}: these files are taken whole; --split and --config are for a dataset as "
            f"such, hf://datasets/{found.dataset}"
        )
    files = repository.matching(found, meant.path)
    alone = [file.path for file in files] == [meant.path]
    return Located(
        _stored(files), pattern=None if alone else found.url(meant.path), facts=_facts(found)
    )


def _split(found: Repository, asked: Asked) -> Located:
    """Those of a split, or a slice of it."""
    config = configs.config(found, asked.config)
    wanted = asked.split or configs.only_split(config)
    files = [file for each in splits.names(wanted) for file in configs.split(config, each)]
    facts = {**_facts(found), "commit": config.repository.commit}
    facts |= {"config": config.name, "split": wanted, "files": len(files)}
    facts |= {"converted": True} if config.converted else {}
    with asking(found.dataset):
        reading.look_ahead(config.repository, files)
    return Located(
        _stored(files), kind=config.format, facts=facts, rows=partial(_rows, config, wanted)
    )


def _rows(config: Config, wanted: str, count: Count) -> Rows:
    @cache
    def of_split(split: str) -> int:
        return count(_stored(config.splits[split]))

    return splits.joined(splits.ranges(wanted, of_split), wanted, of_split)


def _facts(found: Repository) -> dict[str, Any]:
    said = {} if found.asked is None else {"revision": found.asked}
    return {"dataset": found.dataset, **said, "commit": found.commit}


def _stored(files: Sequence[HubFile]) -> list[File]:
    return [{KEY: file.path, "size": file.size} for file in files]


def _repository(file: Mapping[str, Any]) -> Repository:
    return Repository(file["dataset"], file.get("revision"), file["commit"])
