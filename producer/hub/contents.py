"""What is in a dataset of the hub: configurations, splits, rows, columns. Downloads no data.

Rows and columns are those of the dataset's card; where it says none, those of the footers of
its Parquet files, or of the Parquet that the hub converted it to. Of other files the first lines
are read for the columns, and rows are unknown: None.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jobs import columns, hub
from jobs.columns import Asked, Chosen, Schema
from jobs.errors import GistmillError, UsageError
from jobs.hub import plain
from jobs.sources import compressed, kinds
from jobs.sources.hub import configs, reading
from jobs.sources.hub.repository import File, Repository, resolve, unknown
from jobs.sources.opened import Opened, Unreadable
from producer.hub.datasets import HubDataset, told

if TYPE_CHECKING:
    from datasets import DatasetInfo
    from pyarrow.parquet import FileMetaData

_FOOTERS = 64
"""Parquet files whose footers are read at most; there is a request or two for each."""
_AT_ONCE = 8
_BEGINNING = 128 * 1024
"""Bytes of other files that are asked for at once; as a rule the columns are seen in the first."""


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration of a dataset."""

    name: str
    splits: dict[str, int | None]
    """Rows by split; None where nobody says."""
    columns: dict[str, str] | None
    """Types, as Arrow names them, by column."""


@dataclass(frozen=True, slots=True)
class Contents:
    dataset: HubDataset
    configs: tuple[Config, ...]
    """Those that the card names; of the others than `looked_at` only what it says of them."""
    looked_at: str | None
    """The name of the one that was asked for, or is the default; None where none could be."""
    chosen: Chosen | None
    """Which columns of it a job would take, unless told otherwise."""
    reason: str | None
    """Why a job can not read it, or which column it has to be told."""

    @property
    def config(self) -> Config | None:
        return next((each for each in self.configs if each.name == self.looked_at), None)


def describe(dataset: str, config: str | None = None, revision: str | None = None) -> Contents:
    """`dataset`: ORG/NAME. Raises NotFound, NotAllowed and Unreachable, and UsageError for a
    configuration that it does not have."""
    from huggingface_hub import HfApi

    with hub.asking(dataset):
        info = HfApi().dataset_info(dataset, revision=revision)
    card: dict[str, Any] = dict(vars(info.card_data)) if info.card_data else {}
    known = _told_by_card(card)
    if config is not None and len(known) > 1 and config not in known:
        raise unknown(dataset, "config", config, known)
    looked_at = config or _default(card, list(known))
    try:
        found = _completed(known, configs.config(resolve(info.id, revision), looked_at))
    except GistmillError as error:
        if config is not None and config not in known and isinstance(error, UsageError):
            raise
        return Contents(told(info), tuple(known.values()), looked_at, None, plain(error))
    known[found.name] = found
    return _with_columns(Contents(told(info), tuple(known.values()), found.name, None, None))


def _told_by_card(card: Mapping[str, Any]) -> dict[str, Config]:
    """The configurations that it names, in its order, with what it says of them."""
    infos = _infos(card)
    found = {}
    for name in dict.fromkeys([*(each["config_name"] for each in _configs(card)), *infos]):
        info = infos.get(name)
        splits = info.splits if info and info.splits else {}
        found[plain(name)] = Config(
            plain(name),
            {plain(split): each.num_examples for split, each in splits.items()},
            _types(info.features.arrow_schema) if info and info.features else None,
        )
    return found


def _infos(card: Mapping[str, Any]) -> "Mapping[str, DatasetInfo]":
    """Its `dataset_info` by configuration; none where it is not as `datasets` writes it."""
    from datasets.info import DatasetInfosDict

    try:
        infos: Mapping[str, DatasetInfo] = DatasetInfosDict.from_dataset_card_data(card)
    except (AttributeError, KeyError, TypeError, ValueError):  # people write cards by hand
        return {}
    return infos


def _configs(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = card.get("configs")
    listed = entries if isinstance(entries, list) else []
    return [each for each in listed if isinstance(each, dict) and "config_name" in each]


def _default(card: Mapping[str, Any], names: list[str]) -> str | None:
    marked = [each["config_name"] for each in _configs(card) if each.get("default")]
    return next(iter([*marked, *(["default"] if "default" in names else []), *names]), None)


def _completed(known: Mapping[str, Config], read: configs.Config) -> Config:
    """What the card says of a configuration, with the rest out of its files."""
    told_of = known.get(read.name, Config(read.name, {}, None))
    splits: dict[str, int | None] = {
        plain(split): told_of.splits.get(split) for split in read.splits
    }
    if told_of.columns and (None not in splits.values() or read.format != "parquet"):
        return replace(told_of, splits=splits)
    if read.format != "parquet":
        return replace(told_of, splits=splits, columns=_seen(read))
    footers = {split: _footers(read.repository, files) for split, files in read.splits.items()}
    for split, each in footers.items():
        if each is not None:
            splits[plain(split)] = sum(footer.num_rows for footer in each)
    first = next((footer for each in footers.values() for footer in each or []), None)
    types = told_of.columns or (_types(first.schema.to_arrow_schema()) if first else None)
    return Config(read.name, splits, types)


def _seen(read: configs.Config) -> dict[str, str] | None:
    """By the first lines of its first file. None where they can not be read."""
    file = next((file for files in read.splits.values() for file in files), None)
    if file is None:
        return None
    codec = compressed.codec(file.path)
    with (
        hub.asking(read.repository.dataset),
        reading.by_ranges(read.repository, file, _BEGINNING) as stream,
    ):
        opened = Opened(file.path, compressed.plain(stream, codec) if codec else stream, {})
        try:
            types = kinds.described(read.format, opened).schema.types
        except Unreadable:
            return None
    return {plain(name): kind for name, kind in types.items()}


def _footers(at: Repository, files: list[File]) -> "list[FileMetaData] | None":
    """None where there are too many to ask for all."""
    if len(files) > _FOOTERS:
        return None
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda file: _footer(at, file), files))


def _footer(at: Repository, file: File) -> "FileMetaData":
    import pyarrow.parquet as pq

    with hub.asking(at.dataset), reading.opened(at, file) as opened:
        return pq.read_metadata(opened)


def _with_columns(found: Contents) -> Contents:
    if found.config is None or not found.config.columns:
        return found
    try:
        chosen = columns.choose(Schema(found.config.columns), Asked(), found.dataset.id)
    except UsageError as error:
        return replace(found, reason=plain(error))
    return replace(found, chosen=chosen)


def _types(schema: Any) -> dict[str, str]:
    return {plain(field.name): plain(field.type) for field in schema}
