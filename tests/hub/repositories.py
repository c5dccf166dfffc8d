"""Folders as repositories of the stub: names, revisions, files, and what the hub says of each."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.hub import cards


def commit(folder: Path) -> str:
    """The commit that the stub gives to a folder: 40 hexadecimal digits of its contents."""
    whole = hashlib.sha1()
    for path in files(folder):
        whole.update(path.encode() + b"\0" + (folder / path).read_bytes())
    return whole.hexdigest()


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@dataclass
class History:
    """A repository of more than one revision, each a folder of its own."""

    main: Path
    branches: dict[str, Path] = field(default_factory=dict)
    tags: dict[str, Path] = field(default_factory=dict)
    converted: Path | None = None
    """What the hub made of a dataset, at `refs/convert/parquet`."""
    earlier: list[Path] = field(default_factory=list)

    def moves_on(self, folder: Path) -> None:
        """A commit on `main`; what was there is still had by its own commit."""
        self.earlier.append(self.main)
        self.main = folder

    def refs(self) -> dict[str, list[dict[str, str]]]:
        converts = {} if self.converted is None else {"parquet": self.converted}
        return {
            "branches": [*_refs("refs/heads/", {"main": self.main, **self.branches})],
            "tags": [*_refs("refs/tags/", self.tags)],
            "converts": [*_refs("refs/convert/", converts)],
        }

    def at(self, revision: str) -> Path | None:
        """The folder of a branch, tag, ref or commit."""
        refs = [ref for kind in self.refs().values() for ref in kind]
        commits = {ref["name"]: ref["targetCommit"] for ref in refs}
        commits |= {ref["ref"]: ref["targetCommit"] for ref in refs}
        folders = [self.main, *self.branches.values(), *self.tags.values(), *self.earlier]
        folders += [self.converted] if self.converted else []
        return {commit(folder): folder for folder in folders}.get(commits.get(revision, revision))


def _refs(prefix: str, folders: Mapping[str, Path]) -> Iterator[dict[str, str]]:
    for name, folder in folders.items():
        yield {"name": name, "ref": prefix + name, "targetCommit": commit(folder)}


class Repositories:
    """`kind` is "models" or "datasets", `name` is ORG/NAME in all of these."""

    def __init__(
        self, folders: Mapping[str, Path | History], said: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._folders = folders
        self._said = said

    def names(self, kind: str) -> list[str]:
        slashes = 2 if kind == "datasets" else 1
        return [n.removeprefix("datasets/") for n in self._folders if n.count("/") == slashes]

    def history(self, kind: str, name: str) -> History:
        found = self._folders[_full(kind, name)]
        return found if isinstance(found, History) else History(found)

    def info(self, kind: str, name: str, folder: Path | None = None) -> dict[str, Any]:
        """What the hub says of a repository that it is asked for by name; with `folder`, of it
        at this revision."""
        folder = folder or self.history(kind, name).main
        of_its_kind = cards.of_a_dataset if kind == "datasets" else cards.of_a_model
        return {
            "_id": hashlib.sha1(name.encode()).hexdigest()[:24],
            "id": name,
            "modelId": name,
            "author": name.partition("/")[0],
            "sha": commit(folder),
            "createdAt": "2023-01-01T00:00:00.000Z",
            "lastModified": "2024-01-01T00:00:00.000Z",
            "private": False,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "trendingScore": 0,
            "siblings": [{"rfilename": path} for path in files(folder)],
            **of_its_kind(folder),
            **self._said.get(_full(kind, name), {}),
        }


def tree(folder: Path) -> list[dict[str, Any]]:
    return [_entry(path, str(path.relative_to(folder))) for path in sorted(folder.rglob("*"))]


def _full(kind: str, name: str) -> str:
    return f"datasets/{name}" if kind == "datasets" else name


def _entry(path: Path, name: str) -> dict[str, Any]:
    if path.is_dir():
        return {"type": "directory", "path": name, "size": 0, "oid": "0" * 40}
    oid = hashlib.sha1(path.read_bytes()).hexdigest()
    return {"type": "file", "path": name, "size": path.stat().st_size, "oid": oid}
