"""The mill that this machine's settings name, asked directly: SQL, the broker, files here."""

import copy
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from jobs import columns, model_names, services
from jobs.allowed_sources import Allowed
from jobs.broker import Broker
from jobs.callers import OWN, Caller
from jobs.columns import Chosen
from jobs.database import Database, Transaction
from jobs.documents import Document
from jobs.errors import DOCUMENT_CODES, NotFound, Unreachable, UsageError, WrongState
from jobs.settings import Settings
from jobs.sources import Sources
from jobs.sources.asked import Asked
from jobs.states import JobStatus
from jobs.store import batches, control, files, jobs, secrets, summaries, workers
from jobs.store.control import Retried
from jobs.store.files import FileRecord
from jobs.store.jobs import JobRecord
from jobs.store.summaries import Failures
from producer import copies, dispatch, given, listings, submit, uploads
from producer.evaluation.pool import Progress
from producer.listings import Numbered
from producer.status import JobStatusView, view
from producer.submit import Accepted, Beside, Request
from producer.webhooks import addresses, signing

if TYPE_CHECKING:
    from collections.abc import Callable

    from producer.evaluation.diff import Diff
    from producer.evaluation.evaluate import Evaluation


class LocalMill:
    """A `producer.mill.Mill`. Without database and broker URLs in the settings it starts the
    embedded services, and keeps them for as long as it is open."""

    def __init__(self, configured: Settings) -> None:
        self.settings = configured
        self.caller = OWN
        self._elsewhere = False
        self._allowed = configured.allowed
        self._endpoints = services.connect(configured)
        self._copies = copies.folder(configured.home, self._endpoints.database_url)
        self.database = Database(self._endpoints.database_url)
        self.broker = Broker(self._endpoints.broker_url, configured.timings)
        if self._endpoints.embedded_database:
            self.database.migrate()

    def of(self, caller: Caller) -> Self:
        """As `caller` may use it, over the same connections. Whoever asks is not on this machine,
        as far as we know: of its paths none is named but those below `allowed_sources`."""
        other = copy.copy(self)
        other.caller = caller
        other._elsewhere = True
        return other

    def close(self) -> None:
        self.database.close()
        self.broker.close()
        self._endpoints.release()

    def sources(self) -> Sources:
        """Reads the documents of jobs, on this machine. To be closed."""
        return Sources(self.database, self._allowed)

    # --- submitting

    def model(self, name: str) -> str:
        """Raises NotAllowed for a path that whoever asks may not name."""
        if not self._elsewhere:
            return model_names.settled(name)
        # Documents may lie anywhere where that setting is not set: for those who are here.
        return model_names.settled_elsewhere(name, Allowed(self.settings.allowed_sources or ()))

    def submit_items(
        self, request: Request, items: Iterable[str | Mapping[str, Any]], named: columns.Asked
    ) -> Accepted:
        found = given.of_python(items, named)
        return self.submit_documents(request, found.documents, found.chosen)

    def submit_stream(
        self, request: Request, stream: BinaryIO, named: columns.Asked, *, plain: bool
    ) -> Accepted:
        found = given.of_plain_lines(stream) if plain else given.of_json_lines(stream, named)
        return self.submit_documents(request, found.documents, found.chosen)

    def submit_documents(
        self, request: Request, documents: Iterable[Document], chosen: Chosen | None = None
    ) -> Accepted:
        """`chosen` are the columns that the documents came from, if from any."""
        own = self._as_ours(request)
        return self._sent(submit.submit_documents(self.database, own, documents, chosen))

    def submit_source(self, request: Request, location: str, asked: Asked) -> Accepted:
        own = self._as_ours(request)
        return self._sent(submit.submit_source(self.database, own, location, asked, self._allowed))

    def submit_upload(
        self, request: Request, file: FileRecord, asked: Asked, beside: Beside | None = None
    ) -> Accepted:
        """A file that was uploaded, where it lies. `beside` stores what is committed together
        with a new job."""
        own = self._as_ours(request)
        stated = {"upload": uploads.named(file)}

        def held(tx: Transaction, job_id: str) -> None:
            files.hold(tx, file.id)
            if beside is not None:
                beside(tx, job_id)

        with uploads.known_by_its_id(file):
            accepted = submit.submit_source(
                self.database, own, file.location, asked, Allowed((file.location,)), stated, held
            )
        return self._sent(accepted)

    def submit_dataset(self, request: Request, dataset: Any, named: columns.Asked) -> Accepted:
        with copies.using(self._copies):
            location = copies.as_files(dataset, self._copies)
            return self.submit_source(request, str(location), Asked(named, format="arrow"))

    def _as_ours(self, request: Request) -> Request:
        if request.webhook is not None:
            addresses.check(request.webhook, self.settings.webhook_networks)
        return replace(request, model=self.model(request.model), owner=self.caller.token)

    def webhook_secret(self) -> str:
        """What the caller checks the signatures of webhooks with."""
        with self.database.transaction() as tx:
            return signing.secret_of(secrets.secret(tx, signing.SECRET), self.caller.token)

    def _sent(self, accepted: Accepted) -> Accepted:
        """A broker that is down is no error: the job is there, and that is said."""
        try:
            dispatch.fill(self.database, self.broker, self.settings.timings)
        except Unreachable as error:
            note = f"{error}; the job is accepted and runs once it is back"
            return replace(accepted, note=note)
        return accepted

    # --- looking

    def file(self, file_id: str) -> FileRecord:
        """An uploaded file. Raises NotFound."""
        with self.database.transaction() as tx:
            return files.get(tx, file_id, self.caller)

    def delete_file(self, file: FileRecord) -> None:
        """Raises uploads.InUse where a job that is not over reads it."""
        with self.database.transaction() as tx:
            files.hold(tx, file.id, delete=True)
            if files.is_needed(tx, file.id):
                raise uploads.InUse(f"{file.id}: a job that is not over reads it; cancel it first")
            files.delete_one(tx, file.id)
        uploads.forget(file)

    def find(self, prefix: str) -> str:
        with self.database.transaction() as tx:
            return jobs.find(tx, prefix, self.caller.only)

    def jobs(
        self,
        limit: int,
        labels: Mapping[str, str] | None,
        statuses: Collection[JobStatus],
        before: str | None,
        containing: str,
    ) -> list[JobStatusView]:
        only = self.caller.only
        with self.database.transaction() as tx:
            alive = workers.alive(tx, "worker", self.settings.timings.alive)
            found = jobs.latest(
                tx,
                limit,
                labels,
                statuses=statuses,
                only=only,
                before=before,
                containing=containing,
            )
            return [view(record, alive) for record in found]

    def status(self, job_id: str) -> JobStatusView:
        with self.database.transaction() as tx:
            alive = workers.alive(tx, "worker", self.settings.timings.alive)
            return view(jobs.get(tx, job_id), alive)

    def missing(self) -> list[str]:
        within = self.settings.timings.alive
        with self.database.transaction() as tx:
            return [
                role for role in ("dispatcher", "worker") if not workers.alive(tx, role, within)
            ]

    def listing(
        self, job_id: str, *, join: bool, summary_column: str | None
    ) -> AbstractContextManager[Numbered]:
        return listings.listing(
            self.database, self.sources, job_id, join=join, summary_column=summary_column
        )

    def made(self, job_id: str) -> JobRecord:
        with self.database.transaction() as tx:
            return jobs.get(tx, job_id)

    def failures(self, job_id: str, samples: int) -> list[Failures]:
        with self.database.transaction() as tx:
            return summaries.failures(tx, job_id, samples)

    def evaluate(
        self,
        job_id: str,
        samples: int,
        reference_column: str | None,
        progress: Progress,
        *,
        read_documents: bool,
    ) -> "Evaluation":
        from producer.evaluation import evaluate, pairs

        status = self.status(job_id)
        if not read_documents:
            alone = pairs.alone(self.database, job_id)
            return evaluate.evaluate(status, alone, samples, progress)
        with closing(self.sources()) as sources:
            read = pairs.with_documents(self.database, sources, job_id, reference_column)
            return evaluate.evaluate(status, read, samples, progress)

    def diff(self, a: str, b: str, samples: int, progress: Progress) -> "Diff":
        from producer.evaluation import diff, pairs

        matching = pairs.match(self.database, a, b)
        rows = pairs.side_by_side(self.database, a, b, matching)
        return diff.diff(self.status(a), self.status(b), matching, rows, samples, progress)

    # --- asking

    def cancel(self, job_id: str) -> None:
        self._ask(control.cancel, job_id, "only a job that is not over can be cancelled")

    def pause(self, job_id: str) -> None:
        self._ask(control.pause, job_id, "only a job in progress can be paused")

    def resume(self, job_id: str) -> None:
        otherwise = "only a job that is paused, or ended by its error rate, can be resumed"
        self._ask(control.resume, job_id, otherwise)

    def set_priority(self, job_id: str, priority: int) -> None:
        change = partial(control.set_priority, priority=priority)
        self._ask(change, job_id, "there is nothing left to do")

    def retry(self, job_id: str, error: str | None) -> Retried:
        if error is not None and error not in DOCUMENT_CODES:
            raise UsageError(f"error {error!r}: write one of {', '.join(DOCUMENT_CODES)}")
        with self.database.transaction() as tx:
            retried = control.retry(tx, job_id, error)
            if retried is None:
                why = "only a job that is over can be retried, and no dry run"
                raise _refused(tx, job_id, why)
        return retried

    def purge(self, older_than: float, *, dry_run: bool) -> list[str]:
        """With the jobs go the copies of datasets that no job has any more, and uploaded files of
        that age that none has."""
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
                batches.forget_refused(tx, older_than)
            copies.forget(self._copies, needed)
            for file in unneeded:
                # Somebody may have taken it up since, or deleted it.
                with suppress(uploads.InUse, NotFound):
                    self.delete_file(file)
        return old

    def _ask(self, what: "Callable[[Transaction, str], bool]", job_id: str, otherwise: str) -> None:
        with self.database.transaction() as tx:
            if not what(tx, job_id):
                raise _refused(tx, job_id, otherwise)


def _refused(tx: Transaction, job_id: str, why: str) -> WrongState:
    return WrongState(f"{job_id} is {jobs.get(tx, job_id).status}: {why}")
