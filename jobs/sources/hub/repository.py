"""A dataset of the hub at one commit, and the files in it."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from jobs.errors import NotFound, UsageError
from jobs.hub import asking


@dataclass(frozen=True, slots=True)
class File:
    """A file in a repository, and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Repository:
    """A dataset at a commit."""

    dataset: str
    """ORG/NAME, as the hub calls it now."""
    asked: str | None
    """The branch, tag or commit that was asked for."""
    commit: str

    @property
    def root(self) -> str:
        """What the names of its files begin with, to `HfFileSystem`."""
        return f"datasets/{self.dataset}@{self.commit}/"

    def url(self, path: str) -> str:
        return f"hf://{self.root}{path}"


def resolve(dataset: str, revision: str | None) -> Repository:
    """At the commit that the revision means now. Raises NotFound, NotAllowed and Unreachable."""
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    with asking(dataset):
        info = HfApi().dataset_info(dataset, revision=revision)
        found = Repository(info.id, revision, str(info.sha))
        # What anybody may know of it was told; this says whether its files are open to us.
        with suppress(EntryNotFoundError):
            hf_hub_download(found.dataset, "README.md", repo_type="dataset", revision=found.commit)
    return found


def matching(repository: Repository, path: str) -> list[File]:
    """The file of that path, those in such a folder, or that match it, sorted.

    Raises NotFound where there is none, and Unreachable.
    """
    from huggingface_hub import HfFileSystem

    files: Any = HfFileSystem()
    where = repository.root + path.rstrip("/")
    with asking(repository.dataset):
        look = files.find if files.isdir(where) else files.glob
        found = look(where, detail=True)
    there = [
        File(name.removeprefix(repository.root), info["size"])
        for name, info in sorted(found.items())
        if info["type"] == "file"
    ]
    if not there:
        raise NotFound(f"{repository.url(path)}: no such file in this dataset")
    return there


def everything(repository: Repository) -> list[File]:
    """All files, sorted. Raises Unreachable."""
    from huggingface_hub import HfApi, RepoFile

    with asking(repository.dataset):
        entries = HfApi().list_repo_tree(
            repository.dataset,
            repo_type="dataset",
            revision=repository.commit,
            recursive=True,
        )
        files = [File(each.path, each.size) for each in entries if isinstance(each, RepoFile)]
    return sorted(files, key=lambda file: file.path)


def unknown(dataset: str, what: str, name: str, known: Iterable[str]) -> UsageError:
    """For a configuration or split that is not one of them."""
    near = get_close_matches(name, list(known), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return UsageError(f"{dataset}: no {what} {name!r}; it has {', '.join(known)}{hint}")
