"""The Python API: a client on the database and broker of this machine's settings.

job = gistmill.submit(["A long text.", ...], model="lead-3")
job.wait()
for row in job.results():
    print(row["summary"])
"""

import os
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic, sleep
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakValueDictionary, finalize

from jobs import columns, model_names, parameters, services, settings
from jobs.allowed_sources import Allowed
from jobs.broker import Broker
from jobs.callers import OWN, Caller
from jobs.columns import Chosen
from jobs.database import Database
from jobs.documents import Document
from jobs.errors import DatabaseUnreachable, Unreachable, UsageError
from jobs.services import Endpoints
from jobs.settings import Settings
from jobs.sources import Sources
from jobs.sources.asked import Asked
from jobs.states import JobStatus
from jobs.store import control, files, jobs, workers
from jobs.store.files import FileRecord
from jobs.windows import RunWindow
from producer import copies, dispatch, times, uploads
from producer.given import location_of, of_python
from producer.job import Job, NobodyWorks
from producer.status import JobStatusView, view
from producer.submit import (
    Accepted,
    Request,
    submit_documents,
    submit_source,
)

if TYPE_CHECKING:
    from producer.evaluation.diff import Diff

T = TypeVar("T")


class Client:
    """Submits jobs and looks at them. Close it, or use it as a context.

    Without database and broker URLs in the settings it starts the embedded
    services, and keeps them for as long as it is open.
    """

    def __init__(self, configured: Settings | None = None) -> None:
        self.settings = configured or settings.load()
        self.caller = OWN
        self._allowed = self.settings.allowed
        self._endpoints = services.connect(self.settings)
        self._copies = copies.folder(self.settings.home, self._endpoints.database_url)
        self.database = Database(self._endpoints.database_url)
        self.broker = Broker(self._endpoints.broker_url, self.settings.timings)
        # Also for the client behind `gistmill.submit`, which nobody closes by hand.
        self.close = finalize(self, _close, self.database, self.broker, self._endpoints)
        if self._endpoints.embedded_database:
            self.database.migrate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def of(self, caller: Caller) -> Self:
        """This client as `caller` may use it: what it submits is that one's, and it sees what that
        one may see. It shares this one's connections, and is not closed itself."""
        other = copy(self)
        other.caller = caller
        return other

    # --- submitting

    def submit(
        self,
        documents: Iterable[str | Mapping[str, Any]] | os.PathLike[str] | FileRecord,
        *,
        model: str,
        name: str | None = None,
        engine: str = "auto",
        dtype: str = "auto",
        prompt: str | None = None,
        text_column: str | None = None,
        id_column: str | None = None,
        reference_column: str | None = None,
        split: str | None = None,
        config: str | None = None,
        revision: str | None = None,
        shard_size: int | None = None,
        max_input_tokens: int | None = None,
        long_documents: str = "truncate",
        num_beams: int | None = None,
        min_length: int | None = None,
        max_length: int | None = None,
        max_new_tokens: int | None = None,
        length_penalty: float | None = None,
        no_repeat_ngram_size: int | None = None,
        seed: int = 0,
        generate: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        priority: int = 0,
        idempotency_key: str | None = None,
        window: str | None = None,
        deadline: str | datetime | None = None,
        fair_by: str | None = None,
        max_error_rate: float | None = None,
        reuse: bool = True,
        dry_run: bool = False,
    ) -> "Job":
        """Submit texts, mappings with a text in them, a path, a dataset of the hub, or a
        `datasets.Dataset`.

        An iterable is read once, and its documents are kept in SQL; files are read where they
        lie, and so is a Dataset, or what of it is no more than in memory is written below the
        home first. Columns that are not named are guessed, and "" is for none. A DatasetDict
        needs its `split`; of a dataset of the hub, "ORG/NAME", `split` may be a slice, and
        `revision` is a branch, a tag or a commit. `generate` takes any other
        GenerationConfig field; `window` and `deadline` are written as on the command line. With
        `reuse` a text that was summarized before in the same way, in this job or another, is not
        summarized again, unless it is sampled.
        Raises UsageError where the request makes no sense, a string or one mapping in the
        place of many among it, NotFound where there is no such file, and NotAllowed where
        it does not lie below the setting `allowed_sources`.
        """
        asked = {
            "max_input_tokens": max_input_tokens,
            "long_documents": long_documents,
            "num_beams": num_beams,
            "min_length": min_length,
            "max_length": max_length,
            "max_new_tokens": max_new_tokens,
            "length_penalty": length_penalty,
            "no_repeat_ngram_size": no_repeat_ngram_size,
            "seed": seed,
            "generate": dict(generate or {}),
        }
        request = Request(
            model=model_names.settled(model),
            name=name,
            engine=engine,
            dtype=dtype,
            prompt=prompt,
            parameters=parameters.parse(asked),
            shard_size=shard_size,
            labels=labels or {},
            priority=priority,
            idempotency_key=idempotency_key,
            window=RunWindow.parse(window) if window else None,
            deadline=_deadline(deadline),
            fair_by=fair_by,
            max_error_rate=max_error_rate,
            reuse=reuse,
            dry_run=dry_run,
        )
        named = columns.Asked(text_column, id_column, reference_column)
        if copies.is_dataset(documents):
            if config or revision:
                raise UsageError("config and revision are for datasets of the hub, by their name")
            return self._submit_dataset(request, copies.one_split(documents, split), named)
        if isinstance(documents, FileRecord):
            if split or config or revision:
                raise UsageError("split, config and revision are for datasets, not for uploads")
            return self.submit_upload(request, documents, Asked(named))
        location = location_of(documents, of_dataset=bool(split or config or revision))
        if location is not None:
            asked_of = Asked(named, split=split, config=config, revision=revision)
            return self.submit_source(request, location, asked_of)
        if split or config or revision:
            raise UsageError("split, config and revision are for datasets, not for documents")
        given = of_python(documents, named)
        return self.submit_documents(request, given.documents, given.chosen)

    def submit_source(self, request: Request, location: str, asked: Asked) -> "Job":
        """`location` is a path, a pattern of paths, or a URL."""
        request = replace(request, owner=self.caller.token)
        return self._accepted(submit_source(self.database, request, location, asked, self._allowed))

    def submit_upload(self, request: Request, file: FileRecord, asked: Asked) -> "Job":
        """A file that was uploaded, where it lies."""
        request = replace(request, owner=self.caller.token)
        upload = uploads.named(file)
        allowed = Allowed((file.location,))
        with uploads.known_by_its_id(file):
            accepted = submit_source(
                self.database, request, file.location, asked, allowed, {"upload": upload}
            )
        return self._accepted(accepted)

    def submit_documents(
        self, request: Request, documents: Iterable[Document], chosen: Chosen | None = None
    ) -> "Job":
        """`chosen` are the columns that the documents came from, if from any."""
        request = replace(request, owner=self.caller.token)
        return self._accepted(submit_documents(self.database, request, documents, chosen))

    def _submit_dataset(self, request: Request, dataset: Any, named: columns.Asked) -> "Job":
        with copies.using(self._copies):
            location = copies.as_files(dataset, self._copies)
            return self.submit_source(request, str(location), Asked(named, format="arrow"))

    def _accepted(self, accepted: Accepted) -> "Job":
        try:
            dispatch.fill(self.database, self.broker, self.settings.timings)
        except Unreachable as error:
            message = f"{error}; the job is accepted and runs once it is back"
            warnings.warn(NobodyWorks(message), stacklevel=4)
        return Job(self, accepted.job_id, new=accepted.new)

    # --- looking

    def sources(self) -> Sources:
        """Reads the documents of this client's jobs, on this machine. To be closed."""
        return Sources(self.database, self._allowed)

    def file(self, file_id: str) -> FileRecord:
        """An uploaded file, which `submit` takes. Raises NotFound."""
        with self.database.transaction() as tx:
            return files.get(tx, file_id, self.caller)

    def delete_file(self, file: FileRecord) -> None:
        """Raises uploads.InUse where a job that is not over reads it."""
        with self.database.transaction() as tx:
            if files.is_needed(tx, file.id):
                raise uploads.InUse(f"{file.id}: a job that is not over reads it; cancel it first")
            files.delete_one(tx, file.id)
        uploads.forget(file)

    def job(self, prefix: str) -> "Job":
        """The job whose id begins with `prefix`. Raises NotFound, or UsageError if several do."""
        with self.database.transaction() as tx:
            return Job(self, jobs.find(tx, prefix, self.caller.only))

    def jobs(
        self,
        limit: int = 20,
        labels: Mapping[str, str] | None = None,
        *,
        statuses: Collection[JobStatus] = (),
        before: str | None = None,
    ) -> list[JobStatusView]:
        """The newest first; only those that have all of `labels` and one of `statuses`, if any
        are named. `before` is the last job of the page before this one."""
        with self.database.transaction() as tx:
            alive = workers.alive(tx, "worker", self.settings.timings.alive)
            found = jobs.latest(
                tx, limit, labels, statuses=statuses, only=self.caller.only, before=before
            )
            return [view(record, alive) for record in found]

    def purge(self, older_than: float, *, dry_run: bool = False) -> list[str]:
        """Delete jobs that have been over for `older_than` seconds; returns their ids.

        With them go the copies of datasets that no job has any more, and uploaded files of that
        age that none has."""
        with self.database.transaction() as tx:
            old = control.over_before(tx, older_than)
        for job_id in [] if dry_run else old:
            # One at a time: a job may have millions of rows.
            with self.database.transaction() as tx:
                control.purge(tx, [job_id])
        if not dry_run:
            with self.database.transaction() as tx:
                needed = jobs.patterns(tx)
                unneeded = files.unneeded(tx, older_than)
            copies.forget(self._copies, needed)
            for file in unneeded:
                self.delete_file(file)
        return old

    def patiently(self, look: Callable[[], T], until: float | None = None) -> T:
        """What `look` returns. While the database does not answer it is asked again, for
        `Timings.outage` seconds at most and not after `until`, of the monotonic clock.

        Raises DatabaseUnreachable after that.
        """
        ends = monotonic() + self.settings.timings.outage
        ends = ends if until is None else min(ends, until)
        warned = False
        while True:
            try:
                return look()
            except DatabaseUnreachable as error:
                if monotonic() >= ends:
                    raise
                if not warned:
                    warnings.warn(NobodyWorks(f"{error}; waiting for it"), stacklevel=3)
                warned = True
            sleep(self.settings.timings.poll)

    def missing(self) -> list[str]:
        """What does not run but must, for jobs to go on: `dispatcher`, `worker`."""
        within = self.settings.timings.alive
        with self.database.transaction() as tx:
            return [
                role for role in ("dispatcher", "worker") if not workers.alive(tx, role, within)
            ]


def _deadline(given: str | datetime | None) -> datetime | None:
    if given is None:
        return None
    now = datetime.now(UTC)
    return times.deadline(given, now) if isinstance(given, str) else times.to_come(given, now)


def _close(database: Database, broker: Broker, endpoints: Endpoints) -> None:
    database.close()
    broker.close()
    endpoints.release()


def submit(
    documents: Iterable[str | Mapping[str, Any]] | os.PathLike[str], *, model: str, **options: Any
) -> Job:
    """Submit to the mill of this machine's settings; see `Client.submit` for the options.

    One client serves all jobs of the process, and stays open for as long as one of them
    is referred to.
    """
    return _shared_client().submit(documents, model=model, **options)


_shared: WeakValueDictionary[tuple[int, Settings], Client] = WeakValueDictionary()
"""The clients behind `submit`. A process that was forked has none yet: connections can not
be used by two."""


def _shared_client() -> Client:
    key = (os.getpid(), settings.load())
    client = _shared.get(key)
    if client is None:
        client = _shared[key] = Client(key[1])
    return client


def diff(a: Job, b: Job, samples: int = 3) -> "Diff":
    """Two jobs over the same documents, side by side: `Job.diff`."""
    return a.diff(b, samples)
