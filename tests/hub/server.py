"""Requests and answers of the stub. Nothing is written, but by `uploads`."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub import search
from tests.hub.repositories import History, Repositories, commit, tree
from tests.hub.uploads import Answer, Uploads

TOKEN = "hf_of_a_test"
"""Opens what is gated or private."""


@dataclass(frozen=True, slots=True)
class Request:
    """One that was answered."""

    method: str
    path: str
    sent: int
    """Bytes of the body."""


def environment(url: str, home: Path) -> dict[str, str]:
    """What a client process needs in its environment before it imports huggingface_hub."""
    return {
        "HF_ENDPOINT": url,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    }


@contextmanager
def serve(
    repositories: Mapping[str, Path | History],
    said: Mapping[str, Mapping[str, Any]] | None = None,
    refusal: tuple[int, Mapping[str, str]] | None = None,
    moved: Mapping[str, str] | None = None,
    answered: list[Request] | None = None,
    uploads: Uploads | None = None,
) -> Iterator[str]:
    """The stub's URL while it runs.

    `said`: what the hub says of a repository beside what is in its folder, such as
    `downloads`, `likes`, `gated` and `private`, by the names in `repositories`; the files of
    one that is gated, and all of one that is private, are given to who has the `TOKEN`. With
    `refusal` it answers nothing but this status and headers. `moved`: repositories by earlier
    names, such as `datasets/NAME`, from which clients are sent on. `answered` is filled.
    What is pushed goes to `uploads`, whose `repositories` and `said` are served then.
    """

    class Handler(_Handler):
        hub = Repositories(repositories, {} if said is None else said)
        refuses = refusal
        redirects = moved or {}
        log = answered
        pushed = uploads

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Repositories
    refuses: tuple[int, Mapping[str, str]] | None = None
    redirects: Mapping[str, str] = {}
    log: list[Request] | None = None
    pushed: Uploads | None = None
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(send_body=True)

    def do_HEAD(self) -> None:
        self._answer(send_body=False)

    def do_POST(self) -> None:
        self._answer(send_body=True, body=self._body())

    def do_PUT(self) -> None:
        self._answer(send_body=True, body=self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass

    def _answer(self, send_body: bool, body: bytes = b"") -> None:
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        api = parts[:1] == ["api"]
        earlier = "/".join(parts[api : api + 2])
        if self.refuses:
            self._refuse(*self.refuses)
        elif earlier in self.redirects:
            now = self.path.replace(earlier, self.redirects[earlier], 1)
            self._refuse(307, {"Location": now})
        elif self.pushed and (answer := self._uploaded(parts, body)):
            self._json(answer.value, status=answer.status)
        elif parts[:1] == ["api"]:
            # Only `paths-info` is asked for with a form.
            form = parse_qs(body.decode(errors="replace"))
            self._api(parts[1], parts[2:], form.get("paths", []))
        else:
            self._file(parts, send_body)

    def _uploaded(self, parts: list[str], body: bytes) -> Answer | None:
        assert self.pushed
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
        url = f"http://{self.headers['Host']}"
        return self.pushed.answer(self.command, parts, body, bearer, url)

    def _api(self, kind: str, parts: list[str], paths: list[str] | None) -> None:
        if not parts:
            self._search(kind)
            return
        name, verb, rest = "/".join(parts[:2]), parts[2:3], parts[3:]
        if not self._is_there(kind, name):
            return
        history = self.hub.history(kind, name)
        if verb == ["refs"]:
            self._json(history.refs())
            return
        revision, under = _revision(rest)
        folder = history.at(revision)
        if folder is None:
            self._missing("RevisionNotFound")
        elif verb == ["tree"]:
            self._list(tree(folder), under)
        elif verb == ["paths-info"]:
            self._json([e for e in tree(folder) if e["path"] in (paths or [])])
        else:
            info = self.hub.info(kind, name, folder)
            self._json(search.expanded(info, self._query(), whole=True))

    def _is_there(self, kind: str, name: str) -> bool:
        """Whether it is, for who asks; answers where not."""
        if name not in self.hub.names(kind):
            self._missing("RepoNotFound")
        elif self.hub.info(kind, name)["private"] and not self._has_token():
            self._missing("RepoNotFound", 401)
        else:
            return True
        return False

    def _has_token(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _search(self, kind: str) -> None:
        infos = [self.hub.info(kind, name) for name in self.hub.names(kind)]
        try:
            page = search.page(self._query(), infos)
        except search.BadQuery as error:
            self._refuse(400, {"X-Error-Message": str(error)})
            return
        url = f"http://{self.headers['Host']}/api/{kind}?{page.next_query}"
        self._json(page.items, {"Link": f'<{url}>; rel="next"'} if page.next_query else {})

    def _query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query)

    def _list(self, tree: list[dict[str, Any]], under: str) -> None:
        """What lies in the folder `under`, and with `recursive` below it."""
        deep = self._query().get("recursive", [""])[0].lower() in ("true", "1")
        inside = f"{under}/" if under else ""
        found = [e for e in tree if e["path"].startswith(inside)]
        found = [e for e in found if deep or "/" not in e["path"].removeprefix(inside)]
        if under and not found:
            self._missing("EntryNotFound")
        else:
            self._json(found)

    def _file(self, parts: list[str], send_body: bool) -> None:
        kind = parts.pop(0) if parts[0] == "datasets" else "models"
        name = "/".join(parts[:2])
        if not self._is_there(kind, name):
            return
        revision, path = _revision(parts[3:])
        folder = self.hub.history(kind, name).at(revision)
        if folder is None:
            self._missing("RevisionNotFound")
        elif self.hub.info(kind, name)["gated"] and not self._has_token():
            self._missing("GatedRepo", 403)
        elif not (folder / path).is_file():
            self._missing("EntryNotFound")
        else:
            content = (folder / path).read_bytes()
            etag = hashlib.sha1(content).hexdigest()
            headers = {"X-Repo-Commit": commit(folder), "ETag": f'"{etag}"'}
            self._send(content, headers, send_body)

    def _send(
        self, content: bytes, headers: Mapping[str, str], send_body: bool, status: int = 200
    ) -> None:
        """All of `content`, or the part that a Range header asks for."""
        start, stop = 0, len(content)
        asked = self.headers.get("Range")
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last) + 1 if last else stop, stop)
            status = 206 if start < stop else 416
            headers = {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"}
        part = content[start:stop]
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(part))}.items():
            self.send_header(name, value)
        self.end_headers()
        if send_body:
            self.wfile.write(part)
        if self.log is not None:
            sent = len(part) if send_body else 0
            self.log.append(Request(self.command, urlsplit(self.path).path, sent))

    def _json(
        self, value: Any, headers: Mapping[str, str] | None = None, status: int = 200
    ) -> None:
        headers = {"Content-Type": "application/json", **(headers or {})}
        self._send(json.dumps(value).encode(), headers, True, status)

    def _missing(self, code: str, status: int = 404) -> None:
        self._refuse(status, {"X-Error-Code": code, "X-Error-Message": code})

    def _refuse(self, status: int, headers: Mapping[str, str]) -> None:
        body = b"{}"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _revision(parts: list[str]) -> tuple[str, str]:
    """A revision, `main` where none is named, and the path after it."""
    words = 3 if parts[:1] == ["refs"] else 1
    return "/".join(parts[:words]) or "main", "/".join(parts[words:])
