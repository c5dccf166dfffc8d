"""A mill asked over HTTP."""

import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import fields
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from time import sleep
from typing import TYPE_CHECKING, Any, BinaryIO

from jobs import columns, model_names
from jobs.allowed_sources import is_url
from jobs.errors import (
    GistmillError,
    KeyTaken,
    MillUnreachable,
    NotFound,
    UsageError,
    WrongState,
)
from jobs.settings import Settings
from jobs.sources import kinds
from jobs.sources.asked import Asked
from jobs.sources.hub.names import is_id
from jobs.states import JobStatus
from jobs.store.control import Retried
from jobs.store.jobs import check_prefix
from jobs.store.summaries import Failures
from producer import copies, given
from producer.evaluation.pool import Progress
from producer.listings import Listing
from producer.remote import listing, sending
from producer.remote.connection import Connection, Readable
from producer.remote.rebuilt import rebuilt
from producer.status import JobStatusView, SubmissionView
from producer.submit import Accepted, Request

if TYPE_CHECKING:
    from producer.evaluation.diff import Diff
    from producer.evaluation.evaluate import Evaluation

_PAGE = 100
_TRIES = 3
_OUR_OWN = ("model", "parameters", "window", "deadline", "labels", "idempotency_key", "owner")


class RemoteMill:
    """A `producer.mill.Mill`."""

    def __init__(self, url: str, token: str | None, configured: Settings) -> None:
        self._connection = Connection(url, token, allow_insecure=configured.allow_insecure)
        self._settings = configured

    def close(self) -> None:
        self._connection.close()

    # --- submitting

    def model(self, name: str) -> str:
        return model_names.settled(name)

    def submit_items(
        self, request: Request, items: Iterable[str | Mapping[str, Any]], named: columns.Asked
    ) -> Accepted:
        found = sending.outgoing(items)
        if found.whole:
            return self._submit(request, {"documents": found.inline(), **_columns(named)})
        return self._upload(request, "documents.jsonl", found.lines(named.text or "text"), named)

    def submit_stream(
        self, request: Request, stream: BinaryIO, named: columns.Asked, *, plain: bool
    ) -> Accepted:
        if plain:
            documents = given.of_plain_lines(stream).documents
            return self.submit_items(request, (each.text or "" for each in documents), named)
        # As lines, for their errors to name them.
        return self._upload(request, "standard-input.jsonl", sending.Lines(stream), named)

    def submit_source(self, request: Request, location: str, asked: Asked) -> Accepted:
        path = Path(location).expanduser()
        if not is_url(location) and (path.exists() or not is_id(location)):
            return self._submit_file(request, path, asked)
        if asked.format is not None:
            raise UsageError(f"{location}: --format is for files that are here")
        of_dataset = {"split": asked.split, "config": asked.config, "revision": asked.revision}
        return self._submit(request, {"source": location, **of_dataset, **_columns(asked.columns)})

    def submit_dataset(self, request: Request, dataset: Any, named: columns.Asked) -> Accepted:
        self._settings.home.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self._settings.home, prefix=".sending.") as folder:
            path = copies.as_parquet(dataset, Path(folder) / "dataset.parquet")
            with path.open("rb") as file:
                return self._upload(request, path.name, file, named)

    def _submit_file(self, request: Request, path: Path, asked: Asked) -> Accepted:
        if asked.split or asked.config or asked.revision:
            raise UsageError("split, config and revision are for datasets, not for files")
        if path.is_dir() or (not path.exists() and re.search(r"[*?\[]", path.name)):
            raise UsageError(
                f"{path}: one file is uploaded at a time, no folder and no pattern; submit its "
                "files one by one, or make one of them"
            )
        name = path.name if asked.format is None else kinds.named_for(asked.format, path.name)
        try:
            with path.open("rb") as file:
                unchanging = sending.Unchanging(file, str(path))
                return self._upload(request, name, unchanging, asked.columns)
        except OSError as error:
            message = f"{path}: {error.strerror}; name a file of this machine, or ORG/NAME"
            raise NotFound(message) from error

    def _upload(
        self, request: Request, name: str, content: Readable | BinaryIO, named: columns.Asked
    ) -> Accepted:
        """What no job reads afterwards is deleted again."""
        file = self._connection.upload(name, content)
        accepted = None
        try:
            accepted = self._submit(request, {"file": file, **_columns(named)})
        except GistmillError as error:
            # Its user has never seen the id.
            raise type(error)(str(error).replace(file, name)) from error
        finally:
            if accepted is None or not accepted.new:
                with suppress(GistmillError):
                    self._connection.delete(f"/v1/files/{file}")
        return accepted

    def _submit(self, request: Request, source: Mapping[str, Any]) -> Accepted:
        """Under a key, so that it can be asked again where nobody knows whether it was heard."""
        # Of ours, where the user has none: then it is new however often it was asked.
        key = request.idempotency_key or f"once-{token_hex(16)}"
        if not (key.isascii() and key.isprintable() and key == key.strip()):
            raise UsageError(
                f"idempotency key {key!r}: over HTTP it is of ASCII characters, with no blank "
                "before or behind them"
            )
        body = {name: value for name, value in source.items() if value is not None}
        for left in reversed(range(_TRIES)):
            try:
                status, job = self._connection.post(
                    "/v1/jobs", {**_options(request), **body}, {"Idempotency-Key": key}
                )
            except WrongState as error:  # there is no job yet: the conflict is about the key
                raise KeyTaken(str(error)) from error
            except MillUnreachable:
                if not left:
                    raise
                sleep(self._settings.timings.poll)
            else:
                return Accepted(job["id"], new=status == 201 or not request.idempotency_key)
        raise AssertionError  # the last one is raised

    # --- looking

    def find(self, prefix: str) -> str:
        check_prefix(prefix)
        return str(self._connection.get(f"/v1/jobs/{prefix}")["id"])

    def jobs(
        self,
        limit: int,
        labels: Mapping[str, str] | None,
        statuses: Collection[JobStatus],
        before: str | None,
        containing: str,
    ) -> list[JobStatusView]:
        found: list[JobStatusView] = []
        wanted: dict[str, Any] = {
            "label": [f"{key}={value}" for key, value in (labels or {}).items()],
            "status": [JobStatus(status).value for status in statuses],
            "containing": containing,
        }
        more = True
        while more and len(found) < limit:
            size = min(_PAGE, limit - len(found))
            page = self._connection.get("/v1/jobs", limit=size, before=before, **wanted)
            found += [rebuilt(JobStatusView, job) for job in page["data"]]
            before, more = page["last_id"], page["has_more"]
        return found

    def status(self, job_id: str) -> JobStatusView:
        return rebuilt(JobStatusView, self._connection.get(f"/v1/jobs/{job_id}"))

    def webhook_secret(self) -> str:
        return str(self._connection.get("/v1/webhooks/secret")["secret"])

    def missing(self) -> list[str]:
        return [str(role) for role in self._connection.get("/healthz")["missing"]]

    def listing(
        self, job_id: str, *, join: bool, summary_column: str | None
    ) -> AbstractContextManager[Listing]:
        if join:
            home = self._settings.home
            return listing.joined(self._connection, job_id, summary_column, home)
        return nullcontext(listing.Results(self._connection, job_id, self._settings.timings))

    def made(self, job_id: str) -> SubmissionView:
        return rebuilt(SubmissionView, self._connection.get(f"/v1/jobs/{job_id}/submission"))

    def failures(self, job_id: str, samples: int) -> list[Failures]:
        found = self._connection.get(f"/v1/jobs/{job_id}/failures", samples=samples)
        return [rebuilt(Failures, each) for each in found["data"]]

    def evaluate(
        self,
        job_id: str,
        samples: int,
        reference_column: str | None,
        progress: Progress,
        *,
        read_documents: bool,
    ) -> "Evaluation":
        """Nothing is heard of its progress."""
        from producer.evaluation.evaluate import Evaluation

        del progress
        found = self._connection.get(
            f"/v1/jobs/{job_id}/evaluation",
            patient=True,
            samples=samples,
            reference_column=reference_column,
            read_documents=read_documents,
        )
        return rebuilt(Evaluation, found)

    def diff(self, a: str, b: str, samples: int, progress: Progress) -> "Diff":
        """Nothing is heard of its progress."""
        from producer.evaluation.diff import Diff

        del progress
        path = f"/v1/jobs/{a}/diff/{b}"
        return rebuilt(Diff, self._connection.get(path, patient=True, samples=samples))

    # --- asking

    def cancel(self, job_id: str) -> None:
        self._connection.post(f"/v1/jobs/{job_id}/cancel")

    def pause(self, job_id: str) -> None:
        self._connection.post(f"/v1/jobs/{job_id}/pause")

    def resume(self, job_id: str) -> None:
        self._connection.post(f"/v1/jobs/{job_id}/resume")

    def set_priority(self, job_id: str, priority: int) -> None:
        self._connection.post(f"/v1/jobs/{job_id}/priority", {"priority": priority})

    def retry(self, job_id: str, error: str | None) -> Retried:
        _, found = self._connection.post(f"/v1/jobs/{job_id}/retry", {"error": error})
        return rebuilt(Retried, found)

    def purge(self, older_than: float, *, dry_run: bool) -> list[str]:
        asked = {"older_than": older_than, "dry_run": dry_run}
        _, found = self._connection.post("/v1/purge", asked)
        return [str(job_id) for job_id in found["data"]]


def _columns(named: columns.Asked) -> dict[str, str | None]:
    return {
        "text_column": named.text,
        "id_column": named.id,
        "reference_column": named.reference,
    }


def _options(request: Request) -> dict[str, Any]:
    """A request's own fields, as far as they are not what they are without being said."""
    plain = {
        field.name: getattr(request, field.name)
        for field in fields(request)
        if field.name not in _OUR_OWN and getattr(request, field.name) != field.default
    }
    parameters = request.parameters.model_dump(mode="json", exclude_defaults=True)
    written = {
        "labels": dict(request.labels) or None,
        "window": None if request.window is None else str(request.window),
        "deadline": None if request.deadline is None else request.deadline.isoformat(),
    }
    said = {name: value for name, value in written.items() if value is not None}
    return {"model": request.model, **plain, **parameters, **said}
