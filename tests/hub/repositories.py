"""Folders as repositories of the stub: names, files, and what the hub says of each."""

import hashlib
from collections.abc import Mapping
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


class Repositories:
    """`kind` is "models" or "datasets", `name` is ORG/NAME in all of these."""

    def __init__(self, folders: Mapping[str, Path], said: Mapping[str, Mapping[str, Any]]) -> None:
        self._folders = folders
        self._said = said

    def names(self, kind: str) -> list[str]:
        slashes = 2 if kind == "datasets" else 1
        return [n.removeprefix("datasets/") for n in self._folders if n.count("/") == slashes]

    def folder(self, kind: str, name: str) -> Path:
        return self._folders[_full(kind, name)]

    def sha(self, kind: str, name: str) -> str:
        return commit(self.folder(kind, name))

    def info(self, kind: str, name: str) -> dict[str, Any]:
        """What the hub says of a repository that it is asked for by name."""
        folder = self.folder(kind, name)
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

    def tree(self, kind: str, name: str) -> list[dict[str, Any]]:
        folder = self.folder(kind, name)
        return [_entry(path, str(path.relative_to(folder))) for path in sorted(folder.rglob("*"))]


def _full(kind: str, name: str) -> str:
    return f"datasets/{name}" if kind == "datasets" else name


def _entry(path: Path, name: str) -> dict[str, Any]:
    if path.is_dir():
        return {"type": "directory", "path": name, "size": 0, "oid": "0" * 40}
    oid = hashlib.sha1(path.read_bytes()).hexdigest()
    return {"type": "file", "path": name, "size": path.stat().st_size, "oid": oid}
