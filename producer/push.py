"""A joined dataset given to the hub: Parquet files and a card, in one commit.

The files are written to a folder first, then uploaded from there: memory stays flat, and a
repository never holds half of it. What it held of an earlier push is replaced in the same
commit; a repository that holds anything else is left alone.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs import hub
from jobs.errors import NotAllowed, NotFound, UsageError
from producer import card, formats
from producer.card import Facts, Made, Origin
from producer.card_scores import Sample
from producer.listings import Listing

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.hf_api import DatasetInfo

_PART_BYTES = 500_000_000
"""A file that is as large gets no more rows."""
_OURS = re.compile(r"data/[\w.-]+-\d{5}\.parquet|README\.md")
_EMPTY = frozenset({".gitattributes"})


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a repository holds now."""

    repository: str
    url: str
    commit: str
    new: bool
    """Whether this push made the commit; False where it held the same already."""
    rows: int
    summary_column: str


def _check_name(repository: str) -> None:
    """Raises UsageError for what no dataset of the hub can be called."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UsageError(f"{repository}: {error}; name it as ORG/NAME") from None
    if "/" not in repository:
        raise UsageError(f"{repository}: name it with its owner, as in ORG/{repository}")


def push(
    job: Made,
    listing: Listing,
    repository: str,
    *,
    private: bool,
    folder: Path,
) -> Pushed:
    """Make `repository` hold the rows of `listing`, a join, and a card of them.

    `folder` has room for the files. Raises NotAllowed where there is no token or the hub does
    not take it, or the repository holds something else, or is public while `private` is asked;
    UsageError for a name that no dataset can have; Unreachable, NotFound.
    """
    from huggingface_hub import CommitOperationAdd

    _check_name(repository)
    column = listing.summary_column  # a source that can not be read is found out first
    api = _client(repository)
    target = _target(api, repository, private=private)
    split = _split(job.source)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".push.") as scratch:
        sample = Sample(job.source, column, job.total or 0)
        written = _write(listing, Path(scratch), split, sample)
        facts = Facts(
            rows=written.rows,
            failed=written.failed,
            columns=listing.schema().names,
            summary_column=column,
            split=split,
            scores=sample.scores(card.model_name(job.model)),
            origin=_origin(api, job.source),
        )
        added = [CommitOperationAdd(f"data/{part.name}", part) for part in written.parts]
        added.append(CommitOperationAdd("README.md", card.card(job, facts).encode()))
        made = _commit(api, target, added, f"{written.rows:,} rows")
    url = f"{api.endpoint}/datasets/{target.name}"
    return Pushed(target.name, url, made, made != target.commit, written.rows, column)


# --- files


@dataclass(frozen=True, slots=True)
class _Written:
    parts: list[Path]
    rows: int
    failed: int


def _write(listing: Listing, folder: Path, split: str, sample: Sample) -> _Written:
    """Files of about `_PART_BYTES` at most, one at least."""
    from pyarrow.parquet import ParquetWriter

    schema = listing.schema()
    error = f"{listing.summary_column}_error"
    groups = formats.groups(listing.rows())
    counted: Counter[bool] = Counter()
    parts: list[Path] = []
    group = next(groups, None)
    while group or not parts:
        parts.append(folder / f"{split}-{len(parts):05d}.parquet")
        with parts[-1].open("wb") as out, ParquetWriter(out, schema, compression="zstd") as file:
            while group and out.tell() < _PART_BYTES:
                file.write_table(listing.table(group))
                for row in group:
                    counted[row[error] is not None] += 1
                    sample.add(row)
                group = next(groups, None)
    return _Written(parts, counted.total(), counted[True])


def _split(source: dict[str, Any]) -> str:
    """The source's own, of `test[:10%]` test; `train` where it has none."""
    named = re.match(r"\w+", str(source.get("split") or ""))
    return named[0] if named else "train"


# --- the hub


@dataclass(frozen=True, slots=True)
class _Target:
    """A repository of the hub, as it stands before a push."""

    name: str
    commit: str
    files: Sequence[str]


def _client(repository: str) -> "HfApi":
    """Raises NotAllowed where there is no token, or the hub does not know it."""
    from huggingface_hub import HfApi, get_token, is_offline_mode

    if is_offline_mode():
        raise NotFound(f"{repository}: HF_HUB_OFFLINE keeps from the hub; unset it to push")
    token = get_token()
    if token is None:
        raise NotAllowed(f"{repository}: to push, set HF_TOKEN to a token that may write there")
    return HfApi(token=token, library_name="gistmill")


def _target(api: "HfApi", repository: str, *, private: bool) -> _Target:
    """The repository, made if there is none. Raises NotAllowed for one that is not ours."""
    with _asking(repository):
        # None means what its organization has as its default.
        made = api.create_repo(
            repository, repo_type="dataset", private=private or None, exist_ok=True
        )
        found = api.dataset_info(made.repo_id)
        files = api.list_repo_files(made.repo_id, repo_type="dataset")
    if private and not found.private:
        raise NotAllowed(
            f"{repository}: is there already, and public; push to another, or make it private first"
        )
    _check_that_it_is_ours(repository, found, files)
    return _Target(made.repo_id, found.sha or "", files)


def _check_that_it_is_ours(repository: str, found: "DatasetInfo", files: Sequence[str]) -> None:
    if not {*files} - _EMPTY:
        return
    if card.TAG not in (found.tags or []):
        raise NotAllowed(
            f"{repository}: holds something else (its card has no tag {card.TAG}), which a push "
            "would replace; name a new one"
        )


def _commit(api: "HfApi", target: _Target, added: "list[CommitOperationAdd]", message: str) -> str:
    """The commit that is its newest now. What an earlier push left is deleted in it."""
    from huggingface_hub import CommitOperationDelete

    names = {each.path_in_repo for each in added}
    old = [name for name in target.files if _OURS.fullmatch(name) and name not in names]
    deleted = [CommitOperationDelete(name) for name in old]
    with _asking(target.name):
        made = api.create_commit(
            target.name,
            [*added, *deleted],
            repo_type="dataset",
            commit_message=f"Summaries by gistmill: {message}",
            parent_commit=target.commit or None,
        )
    return str(made.oid)


@contextmanager
def _asking(repository: str) -> Iterator[None]:
    """As `jobs.hub.asking`, and what only those who write are told."""
    from huggingface_hub.errors import HfHubHTTPError

    with hub.asking(repository):
        try:
            yield
        except HfHubHTTPError as error:
            if reason := _REFUSALS.get(error.response.status_code):
                raise NotAllowed(f"{repository}: {reason}") from error
            raise
        except (RuntimeError, ValueError) as error:  # as the stores behind the hub are told of
            raise NotAllowed(f"{repository}: the hub refuses: {hub.plain(error)}") from error


_REFUSALS: dict[int, str] = {
    401: "the hub does not take this HF_TOKEN; set one that may write there",
    403: "this HF_TOKEN may not write there; set one that may, or name another repository",
    409: "somebody else pushed to it at the same time; push again",
    412: "somebody else pushed to it at the same time; push again",
}


def _origin(api: "HfApi", source: dict[str, Any]) -> Origin:
    """License and language of the hub's dataset that the documents are from, if it says so."""
    if not source.get("dataset"):
        return Origin()
    try:
        with hub.asking(source["dataset"]):
            found = api.dataset_info(source["dataset"], revision=source.get("commit"))
    except (NotAllowed, NotFound):  # it is not there any more, or not for this token
        return Origin()
    data = found.card_data
    return Origin(data.license, data.language) if data else Origin()
