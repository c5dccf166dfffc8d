"""The configurations of a dataset at one commit, their splits, and the files of those.

`datasets` tells which files a split has, from the dataset's card or the files' names, and
downloads nothing but the card. A dataset with a loading script (none is ever run), or of files
that are not read here, is taken as the hub has converted it to Parquet.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from jobs.errors import UsageError
from jobs.hub import asking
from jobs.sources.hub import cards, converted
from jobs.sources.hub.repository import File, Repository, unknown

if TYPE_CHECKING:
    from datasets import DatasetBuilder

_READ = {"ParquetConfig": "parquet", "JsonConfig": "jsonl", "CsvConfig": "csv"}
"""By what `datasets` calls a way of reading: the format that it is here."""
_SUFFIXES = re.compile(
    r"\.(parquet|(jsonl?|ndjson|csv|tsv)(\.(gz|zst))?)$",
    re.IGNORECASE,
)
_MEANINGLESS = {"name", "version", "data_dir", "data_files", "description", "features"}
"""Of its options, those that do not change what the rows are; with how much is read at once."""
_AT_ONCE = {"batch_size", "chunksize", "block_size", "use_threads"}
_HEAD = 64 * 1024
"""Bytes of a file's beginning that tell whether it is of JSON lines."""


@dataclass(frozen=True, slots=True)
class Config:
    """One configuration of a dataset."""

    name: str
    repository: Repository
    """The same dataset; where `converted`, at the commit of what it was converted to."""
    format: str
    splits: dict[str, list[File]]
    converted: bool = False


class _NotHere(Exception):
    """Why the files of a dataset are not read as they are."""


def config(repository: Repository, name: str | None) -> Config:
    """The configuration of that name, or the only or default one.

    Raises UsageError that lists the configurations, NotFound where none of its files can be
    read here, Unreachable.
    """
    if repository.asked == converted.REVISION:
        return _converted(repository, name)
    try:
        return _as_it_is(repository, name)
    except _NotHere as reason:
        return _converted(converted.conversion(repository, str(reason)), name)


def split(config: Config, name: str) -> list[File]:
    """Raises UsageError that lists the splits."""
    if (part := converted.part(name)) in config.splits:
        raise UsageError(
            f"{config.repository.dataset}: the hub has converted the first part of {name} only; "
            f"--split {part} takes that"
        )
    if name not in config.splits:
        raise unknown(config.repository.dataset, "split", name, config.splits)
    return config.splits[name]


def only_split(config: Config) -> str:
    """Raises UsageError that lists the splits where there are several."""
    if len(config.splits) > 1:
        there = ", ".join(config.splits)
        raise UsageError(f"{config.repository.dataset}: choose one with --split: {there}")
    return next(iter(config.splits))


def is_json_lines(head: bytes) -> bool:
    """Whether a file that begins so has an object a line; not one array, nor one object."""
    line, newline, _ = head.lstrip().partition(b"\n")
    if not line.startswith(b"{"):
        return not line
    try:
        json.loads(line)
    except ValueError:
        return not newline and len(head) >= _HEAD
    return True


def _converted(repository: Repository, name: str | None) -> Config:
    found, splits = converted.config(repository, name)
    return Config(found, repository, "parquet", splits, converted=True)


def _as_it_is(repository: Repository, name: str | None) -> Config:
    """Raises _NotHere."""
    builder = _builder(repository, name)
    made = type(builder.config).__name__
    if made not in _READ:
        raise _NotHere(f"has files that are not read here ({made.removesuffix('Config')})")
    if options := list(_options(builder.config)):
        raise _NotHere(f"asks for {', '.join(options)} in its card")
    splits = {
        str(split): [_file(repository, url) for url in urls]
        for split, urls in (builder.config.data_files or {}).items()
    }
    for file in (file for files in splits.values() for file in files):
        if not _SUFFIXES.search(file.path):
            raise _NotHere(f"has files that are not read here ({file.path})")
        if file.path.endswith(".json") and not is_json_lines(_head(repository, file)):
            raise _NotHere(f"has JSON that is not lines ({file.path})")
    return Config(builder.config.name, repository, _READ[made], splits)


def _builder(repository: Repository, name: str | None) -> "DatasetBuilder":
    """Raises _NotHere, UsageError where the configuration is not one of them."""
    from datasets import load_dataset_builder

    # As a URL, lest a folder of that name be taken. And nothing of an earlier time: where it
    # finds no dataset, `datasets` takes what it has in its cache instead.
    url = f"hf://datasets/{repository.dataset}"
    with asking(repository.dataset), TemporaryDirectory() as nothing:
        try:
            if (place := cards.elsewhere(repository)) is not None:
                raise _NotHere(f"names files that are not in it ({place})")
            return load_dataset_builder(
                url, name=name, revision=repository.commit, cache_dir=nothing
            )
        except FileNotFoundError:
            raise _NotHere("has no files that could be told to be its data") from None
        except RuntimeError as error:
            if "scripts are no longer supported" not in str(error):
                raise
            raise _NotHere("has a loading script, and none is run") from None
        except ValueError as error:
            names = _config_names(url, repository.commit, nothing)
            raise _config_error(repository.dataset, name, names, error) from None


def _config_names(url: str, commit: str, cache: str) -> list[str]:
    from datasets import get_dataset_config_names

    try:
        return list(get_dataset_config_names(url, revision=commit, cache_dir=cache))
    except ValueError:  # of the card as such
        return []


def _config_error(
    dataset: str, name: str | None, known: list[str], error: ValueError
) -> UsageError:
    if name is None and len(known) > 1:
        return UsageError(f"{dataset}: choose one with --config: {', '.join(known)}")
    if name is not None and known and name not in known:
        return unknown(dataset, "config", name, known)
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return UsageError(f"{dataset}: its card can not be used ({reason})")


def _options(config: Any) -> Iterator[str]:
    """Those that are set, and change what the rows are."""
    for field in fields(config):
        default = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        value = getattr(config, field.name)
        tabs = field.name == "sep" and value == "\t" and _all_tsv(config)
        meaningless = field.name in _MEANINGLESS | _AT_ONCE
        if value != default and not meaningless and not tabs:
            yield f"{field.name}={value!r}"


def _all_tsv(config: Any) -> bool:
    return all(".tsv" in url for urls in config.data_files.values() for url in urls)


def _file(repository: Repository, url: str) -> File:
    from huggingface_hub import HfFileSystem

    path = url.removeprefix(repository.url(""))
    # Asks nobody: the listing in which `datasets` found it is kept.
    with asking(repository.dataset):
        return File(path, HfFileSystem().info(url)["size"])


def _head(repository: Repository, file: File) -> bytes:
    from huggingface_hub import HfFileSystem

    with asking(repository.dataset):
        found: bytes = HfFileSystem().read_block(
            repository.url(file.path), 0, min(_HEAD, file.size)
        )
    return found
