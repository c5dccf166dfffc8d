"""The Python API: a client on the database and broker of this machine's settings.

job = gistmill.submit(["A long text.", ...], model="lead-3")
job.wait()
for row in job.results():
    print(row["summary"])
"""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self
from weakref import finalize

from jobs import parameters, services, settings
from jobs.broker import Broker
from jobs.database import Database
from jobs.documents import Columns, Document
from jobs.errors import BrokerUnreachable, WaitTimeout
from jobs.job import SHARD_SIZE
from jobs.services import Endpoints
from jobs.settings import Settings
from jobs.store import jobs, workers
from producer import dispatch, results
from producer.status import JobStatusView, view
from producer.submit import Request, from_python, submit_documents, submit_file


class NobodyWorks(UserWarning):
    """The job is accepted, but something that it needs does not run."""


class Client:
    """Submits jobs and looks at them. Close it, or use it as a context.

    Without database and broker URLs in the settings it starts the embedded
    services, and keeps them for as long as it is open.
    """

    def __init__(self, configured: Settings | None = None) -> None:
        self.settings = configured or settings.load()
        self._endpoints = services.connect(self.settings)
        self.database = Database(self._endpoints.database_url)
        # Also for the client behind `gistmill.submit`, which nobody closes by hand.
        self.close = finalize(self, _close, self.database, self._endpoints)
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

    @cached_property
    def broker(self) -> Broker:
        return Broker(self._endpoints.broker_url, self.settings.timings)

    # --- submitting

    def submit(
        self,
        documents: Iterable[str | Mapping[str, Any]] | os.PathLike[str],
        *,
        model: str,
        name: str | None = None,
        engine: str = "auto",
        dtype: str = "auto",
        prompt: str | None = None,
        text_column: str = "text",
        id_column: str | None = None,
        reference_column: str | None = None,
        shard_size: int = SHARD_SIZE,
        max_input_tokens: int | None = None,
        num_beams: int | None = None,
        min_length: int | None = None,
        max_length: int | None = None,
        max_new_tokens: int | None = None,
        seed: int = 0,
        generate: Mapping[str, Any] | None = None,
    ) -> "Job":
        """Submit texts, mappings with a text in them, or a path to a JSONL file.

        An iterable is read once, and its documents are kept in SQL; a file is
        read where it lies. `generate` takes any other GenerationConfig field.
        Raises UsageError where the request makes no sense, NotFound where there
        is no such file.
        """
        asked = {
            "max_input_tokens": max_input_tokens,
            "num_beams": num_beams,
            "min_length": min_length,
            "max_length": max_length,
            "max_new_tokens": max_new_tokens,
            "seed": seed,
            "generate": dict(generate or {}),
        }
        request = Request(
            model=model,
            name=name,
            engine=engine,
            dtype=dtype,
            prompt=prompt,
            parameters=parameters.parse(asked),
            shard_size=shard_size,
        )
        columns = Columns(text_column, id_column, reference_column)
        if isinstance(documents, os.PathLike):
            return self.submit_file(request, Path(documents), columns)
        return self.submit_documents(request, from_python(documents, columns))

    def submit_file(self, request: Request, path: Path, columns: Columns) -> "Job":
        return self._accepted(submit_file(self.database, request, path, columns))

    def submit_documents(self, request: Request, documents: Iterable[Document]) -> "Job":
        return self._accepted(submit_documents(self.database, request, documents))

    def _accepted(self, job_id: str) -> "Job":
        try:
            dispatch.fill(self.database, self.broker, self.settings.timings)
        except BrokerUnreachable as error:
            message = f"{error}; the job is accepted and runs once Redis is back"
            warnings.warn(NobodyWorks(message), stacklevel=4)
        return Job(self, job_id)

    # --- looking

    def job(self, prefix: str) -> "Job":
        """The job whose id begins with `prefix`. Raises NotFound, or UsageError if several do."""
        with self.database.transaction() as tx:
            return Job(self, jobs.find(tx, prefix))

    def jobs(self, limit: int = 20) -> list[JobStatusView]:
        """The newest first."""
        with self.database.transaction() as tx:
            alive = workers.alive(tx, "worker", self.settings.timings.alive)
            return [view(record, alive) for record in jobs.latest(tx, limit)]

    def missing(self) -> list[str]:
        """What does not run but must, for jobs to go on: `dispatcher`, `worker`."""
        within = self.settings.timings.alive
        with self.database.transaction() as tx:
            return [
                role for role in ("dispatcher", "worker") if not workers.alive(tx, role, within)
            ]


class Job:
    """A job that was submitted. Holds its id; everything else is asked when needed."""

    def __init__(self, client: Client, job_id: str) -> None:
        self.id = job_id
        self._client = client

    def __repr__(self) -> str:
        return f"<gistmill.Job {self.id}>"

    def status(self) -> JobStatusView:
        client = self._client
        with client.database.transaction() as tx:
            alive = workers.alive(tx, "worker", client.settings.timings.alive)
            return view(jobs.get(tx, self.id), alive)

    def wait(self, timeout: float | None = None) -> JobStatusView:
        """Wait until the job is over, `timeout` seconds at most. Raises WaitTimeout."""
        ends = None if timeout is None else monotonic() + timeout
        if missing := self._client.missing():
            message = f"no {' and no '.join(missing)} is alive; start them with: gistmill up"
            warnings.warn(NobodyWorks(message), stacklevel=2)
        while not (status := self.status()).over:
            if ends is not None and monotonic() >= ends:
                raise WaitTimeout(f"{self.id} is {status.status} after {timeout:g} s; it goes on")
            sleep(self._client.settings.timings.poll)
        return status

    def results(self) -> Iterator[dict[str, Any]]:
        """Result rows in order of index, failed documents included; what is stored so far."""
        return results.rows(self._client.database, self.id)


def _close(database: Database, endpoints: Endpoints) -> None:
    database.close()
    endpoints.release()


def submit(
    documents: Iterable[str | Mapping[str, Any]] | os.PathLike[str], *, model: str, **options: Any
) -> Job:
    """Submit to the mill of this machine's settings; see `Client.submit` for the options.

    The client behind the job stays open for as long as the job is referred to.
    """
    return Client().submit(documents, model=model, **options)
