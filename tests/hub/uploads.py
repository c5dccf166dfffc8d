"""Repositories that are pushed to: made, and committed to, as the hub's clients ask for it.

A commit makes a new folder, so that what was there before is still had by its own commit. Files
come as a commit's own words, or by the large file storage: named by their hash, put, then
committed.
"""

import base64
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from tests.hub.repositories import History, commit, files

OWNER = "me"
"""Whose repositories the token may write."""


class Answer(NamedTuple):
    status: int
    value: dict[str, Any]


class Uploads:
    """What was pushed: `repositories` and `said` are those of `serve`, and grow."""

    def __init__(self, folder: Path, token: str, reader: str = "hf_that_reads") -> None:
        self.repositories: dict[str, Path | History] = {}
        self.said: dict[str, dict[str, Any]] = {}
        self.reader = reader
        """A token that may write nothing."""
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self._token = token

    def answer(
        self, method: str, parts: list[str], body: bytes, bearer: str | None, url: str
    ) -> Answer | None:
        """None for what has nothing to do with uploads. Datasets only."""
        if method == "PUT" and parts[:1] == ["lfs"]:
            return self._put(parts[1], body)
        what = _asked(parts)
        if what is None or (method == "GET" and what != "whoami-v2"):
            return None
        if bearer not in (self._token, self.reader):
            return Answer(401, {"error": "Invalid credentials in Authorization header"})
        if what == "whoami-v2":
            return Answer(200, {"name": OWNER, "type": "user", "orgs": []})
        if what == "validate-yaml":
            return Answer(200, {"errors": [], "warnings": []})
        return self._write(what, parts, body, bearer, url)

    def _write(self, what: str, parts: list[str], body: bytes, bearer: str, url: str) -> Answer:
        owner = json.loads(body)["organization"] if what == "create" else _name(parts)[0]
        if bearer == self.reader or owner != OWNER:
            return Answer(403, {"error": "Forbidden: you don't have the rights"})
        if what == "create":
            return self._create(json.loads(body), url)
        name = "/".join(_name(parts))
        if f"datasets/{name}" not in self.repositories:
            return Answer(404, {"error": "Repository not found"})
        if what == "preupload":
            return self._preupload(name, json.loads(body))
        if what == "batch":
            return self._batch(json.loads(body), url)
        return self._commit(name, [json.loads(line) for line in body.splitlines()], url)

    def _create(self, asked: dict[str, Any], url: str) -> Answer:
        name = f"{asked['organization']}/{asked['name']}"
        key = f"datasets/{name}"
        where = {"url": f"{url}/{key}", "name": name, "id": name}
        if key in self.repositories:
            return Answer(409, {**where, "error": "You already created this dataset repo"})
        folder = self._new_folder()
        (folder / ".gitattributes").write_text("*.parquet filter=lfs\n")
        self.repositories[key] = History(folder)
        self.said[key] = {"private": asked.get("visibility") == "private"}
        return Answer(200, where)

    def _preupload(self, name: str, asked: dict[str, Any]) -> Answer:
        main = self._history(name).main
        return Answer(200, {"files": [_mode(main, each["path"]) for each in asked["files"]]})

    def _batch(self, asked: dict[str, Any], url: str) -> Answer:
        def upload(each: dict[str, Any]) -> dict[str, Any]:
            if (self._lfs / each["oid"]).exists():
                return each
            return {**each, "actions": {"upload": {"href": f"{url}/lfs/{each['oid']}"}}}

        return Answer(200, {"transfer": "basic", "objects": [*map(upload, asked["objects"])]})

    def _put(self, oid: str, body: bytes) -> Answer:
        if hashlib.sha256(body).hexdigest() != oid:
            return Answer(400, {"error": "not what was announced"})
        self._lfs.mkdir(exist_ok=True)
        (self._lfs / oid).write_bytes(body)
        return Answer(200, {})

    def _commit(self, name: str, lines: list[dict[str, Any]], url: str) -> Answer:
        history = self._history(name)
        parent = lines[0]["value"].get("parentCommit")
        if parent not in (None, commit(history.main)):
            return Answer(412, {"error": "A commit has happened since. Please refresh."})
        folder = self._new_folder()
        shutil.copytree(history.main, folder, dirs_exist_ok=True)
        for line in lines[1:]:
            self._apply(folder, line["key"], line["value"])
        history.moves_on(folder)
        made = commit(folder)
        where = f"{url}/datasets/{name}/commit/{made}"
        return Answer(200, {"success": True, "commitOid": made, "commitUrl": where})

    def _apply(self, folder: Path, key: str, value: dict[str, Any]) -> None:
        path = folder / value["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if key == "file":
            path.write_bytes(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            shutil.copy(self._lfs / value["oid"], path)
        else:
            path.unlink()

    def _history(self, name: str) -> History:
        found = self.repositories[f"datasets/{name}"]
        return found if isinstance(found, History) else History(found)

    def _new_folder(self) -> Path:
        number = sum(1 for _ in self._folder.iterdir())
        made = self._folder / f"revision-{number}"
        made.mkdir()
        return made

    @property
    def _lfs(self) -> Path:
        return self._folder / "lfs"


def _asked(parts: list[str]) -> str | None:
    """What it is about uploads that a path asks for."""
    if parts[-1:] == ["batch"]:
        return "batch"
    last = {"api/whoami-v2": "whoami-v2", "api/validate-yaml": "validate-yaml"}
    last["api/repos/create"] = "create"
    verb = parts[4] if parts[:2] == ["api", "datasets"] and len(parts) > 4 else ""
    return last.get("/".join(parts)) or (verb if verb in ("preupload", "commit") else None)


def _name(parts: list[str]) -> tuple[str, str]:
    """Of `api/datasets/ORG/NAME/…` and of `datasets/ORG/NAME.git/…`."""
    owner, name = parts[2:4] if parts[0] == "api" else parts[1:3]
    return owner, name.removesuffix(".git")


def _mode(folder: Path, path: str) -> dict[str, Any]:
    large = path.endswith(".parquet")
    found = (folder / path).read_bytes() if path in files(folder) else None
    oid = None if found is None else _oid(found, large=large)
    mode = "lfs" if large else "regular"
    return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid}


def _oid(content: bytes, *, large: bool) -> str:
    if large:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
