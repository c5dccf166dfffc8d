"""The Python API: a client of this machine's mill, or over HTTP of one that is elsewhere.

job = gistmill.submit(["A long text.", ...], model="lead-3")
job.wait()
for row in job.results():
    print(row["summary"])
"""

import os
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy
from datetime import UTC, datetime
from time import monotonic, sleep
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakValueDictionary, finalize

from jobs import columns, parameters
from jobs import settings as configuration
from jobs.errors import DatabaseUnreachable, MillUnreachable, UsageError
from jobs.settings import Settings
from jobs.sources.asked import Asked
from jobs.states import JobStatus
from jobs.store.files import FileRecord
from jobs.windows import RunWindow
from producer import copies, times
from producer.given import location_of
from producer.job import Job, NobodyWorks, check_least
from producer.local import LocalMill
from producer.mill import Mill
from producer.status import JobStatusView
from producer.submit import Accepted, Request

if TYPE_CHECKING:
    from typing import BinaryIO

    from jobs.broker import Broker
    from jobs.callers import Caller
    from jobs.columns import Chosen
    from jobs.database import Database
    from jobs.documents import Document
    from jobs.sources import Sources
    from producer.evaluation.diff import Diff
    from producer.submit import Beside

T = TypeVar("T")

_AGE = 1e10
"""In seconds: no job is older."""


class Client:
    """Submits jobs and looks at them. Close it, or use it as a context.

    `url` is that of a mill's HTTP API (`gistmill serve`), `token` what it knows us by; without
    them those of the settings, and without a URL there either, the mill is this machine's own:
    then, without database and broker URLs in the settings, it starts the embedded services, and
    keeps them for as long as it is open.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, settings: Settings | None = None
    ) -> None:
        self.settings = settings or configuration.load()
        self.mill: Mill = _mill(self.settings, url, token)
        # Also for the client behind `gistmill.submit`, which nobody closes by hand.
        self.close = finalize(self, self.mill.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- the mill's own side

    @property
    def here(self) -> LocalMill:
        """The mill itself, for who runs it. Raises UsageError where it is asked over HTTP."""
        if not isinstance(self.mill, LocalMill):
            raise UsageError(
                "this asks the mill's own database, and the client asks over HTTP; run it on a "
                "machine of the mill, without GISTMILL_URL"
            )
        return self.mill

    @property
    def database(self) -> "Database":
        return self.here.database

    @property
    def broker(self) -> "Broker":
        return self.here.broker

    @property
    def caller(self) -> "Caller":
        return self.here.caller

    def of(self, caller: "Caller") -> Self:
        """This client as `caller` may use it: what it submits is that one's, and it sees what that
        one may see. It shares this one's connections, and is not closed itself."""
        other = copy(self)
        other.mill = self.here.of(caller)
        return other

    def sources(self) -> "Sources":
        """Reads the documents of this client's jobs, on this machine. To be closed."""
        return self.here.sources()

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
        webhook: str | None = None,
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
        summarized again, unless it is sampled. `webhook` is a URL that is told, signed, when the
        job is over.
        Raises UsageError where the request makes no sense, a string or one mapping in the
        place of many among it, NotFound where there is no such file, and NotAllowed where
        it does not lie below the setting `allowed_sources`, or where a webhook's address is
        private and not of the setting `webhook_networks`.
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
            model=self.mill.model(model),
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
            webhook=webhook,
        )
        named = columns.Asked(text_column, id_column, reference_column)
        if copies.is_dataset(documents):
            if config or revision:
                raise UsageError("config and revision are for datasets of the hub, by their name")
            dataset = copies.one_split(documents, split)
            return self._accepted(self.mill.submit_dataset(request, dataset, named))
        if isinstance(documents, FileRecord):
            if split or config or revision:
                raise UsageError("split, config and revision are for datasets, not for uploads")
            return self.submit_upload(request, documents, Asked(named))
        location = location_of(documents, of_dataset=bool(split or config or revision))
        if location is not None:
            asked_of = Asked(named, split=split, config=config, revision=revision)
            return self._accepted(self.mill.submit_source(request, location, asked_of))
        if split or config or revision:
            raise UsageError("split, config and revision are for datasets, not for documents")
        return self._accepted(self.mill.submit_items(request, documents, named))  # type: ignore[arg-type]  # a path is a location

    def submit_source(self, request: Request, location: str, asked: Asked) -> "Job":
        """`location` is a path, a pattern of paths, a URL, or ORG/NAME."""
        return self._accepted(self.mill.submit_source(request, location, asked))

    def submit_stream(
        self, request: Request, stream: "BinaryIO", named: columns.Asked, *, plain: bool
    ) -> "Job":
        """JSON lines, or where they are `plain` a text a line."""
        return self._accepted(self.mill.submit_stream(request, stream, named, plain=plain))

    def submit_upload(
        self,
        request: Request,
        file: FileRecord,
        asked: Asked,
        beside: "Beside | None" = None,
    ) -> "Job":
        """A file that was uploaded, on the mill's own side, where it lies. `beside` stores what is
        committed together with a new job."""
        return self._accepted(self.here.submit_upload(request, file, asked, beside))

    def submit_documents(
        self, request: Request, documents: "Iterable[Document]", chosen: "Chosen | None" = None
    ) -> "Job":
        """On the mill's own side. `chosen` are the columns that they came from, if from any."""
        return self._accepted(self.here.submit_documents(request, documents, chosen))

    def _accepted(self, accepted: Accepted) -> "Job":
        if accepted.note:
            warnings.warn(NobodyWorks(accepted.note), stacklevel=3)
        return Job(self, accepted.job_id, new=accepted.new)

    # --- looking

    def file(self, file_id: str) -> FileRecord:
        """An uploaded file, which `submit` takes, on the mill's own side. Raises NotFound."""
        return self.here.file(file_id)

    def delete_file(self, file: FileRecord) -> None:
        """On the mill's own side. Raises uploads.InUse where a job that is not over reads it."""
        self.here.delete_file(file)

    def job(self, prefix: str) -> "Job":
        """The job whose id begins with `prefix`. Raises NotFound, or UsageError if several do."""
        return Job(self, self.mill.find(prefix))

    def jobs(
        self,
        limit: int = 20,
        labels: Mapping[str, str] | None = None,
        *,
        statuses: Collection[JobStatus] = (),
        before: str | None = None,
        containing: str = "",
    ) -> list[JobStatusView]:
        """The newest first; only those that have all of `labels` and one of `statuses`, if any
        are named, and `containing` in their name, model or id. `before` is the last job of the
        page before this one."""
        check_least("limit", limit)
        wanted = [_status(each) for each in statuses]
        return self.mill.jobs(limit, labels, wanted, before, containing)

    def purge(self, older_than: float, *, dry_run: bool = False) -> list[str]:
        """Delete jobs that have been over for `older_than` seconds; returns their ids.

        With them go the copies of datasets that no job has any more, and uploaded files and
        refused batches of that age that none has."""
        if not 0 <= older_than <= _AGE:
            raise UsageError(f"older_than {older_than}: write seconds, from 0 to {_AGE:.0f}")
        return self.mill.purge(older_than, dry_run=dry_run)

    def patiently(self, look: Callable[[], T], until: float | None = None) -> T:
        """What `look` returns. While the mill or its database does not answer it is asked again,
        for `Timings.outage` seconds at most and not after `until`, of the monotonic clock.

        Raises DatabaseUnreachable or MillUnreachable after that.
        """
        ends = monotonic() + self.settings.timings.outage
        ends = ends if until is None else min(ends, until)
        warned = False
        while True:
            try:
                return look()
            except (DatabaseUnreachable, MillUnreachable) as error:
                if monotonic() >= ends:
                    raise
                if not warned:
                    warnings.warn(NobodyWorks(f"{error}; waiting for it"), stacklevel=3)
                warned = True
            sleep(self.settings.timings.poll)

    def webhook_secret(self) -> str:
        """What this client's user checks the signatures of webhooks with."""
        return self.mill.webhook_secret()

    def missing(self) -> list[str]:
        """What does not run but must, for jobs to go on: `dispatcher`, `worker`."""
        return self.mill.missing()


def _mill(configured: Settings, url: str | None, token: str | None) -> Mill:
    url = url or configured.url
    if url is None:
        if token is not None:
            raise UsageError("a token is for a mill's HTTP API; name its URL too")
        return LocalMill(configured)
    if token is None and configured.token is not None:
        token = configured.token.get_secret_value()
    from producer.remote.mill import RemoteMill

    return RemoteMill(url, token, configured)


def _status(given: JobStatus) -> JobStatus:
    try:
        return JobStatus(given)
    except ValueError:
        raise UsageError(f"status {given!r}: write one of {', '.join(JobStatus)}") from None


def _deadline(given: str | datetime | None) -> datetime | None:
    if given is None:
        return None
    now = datetime.now(UTC)
    return times.deadline(given, now) if isinstance(given, str) else times.to_come(given, now)


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
    key = (os.getpid(), configuration.load())
    client = _shared.get(key)
    if client is None:
        client = _shared[key] = Client(settings=key[1])
    return client


def diff(a: Job, b: Job, samples: int = 3) -> "Diff":
    """Two jobs over the same documents, side by side: `Job.diff`."""
    return a.diff(b, samples)
