"""A job as its user holds it: followed, read, judged and asked to change.

Holds its id and the client that it came from; everything else is asked when needed.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from jobs.errors import UsageError, WaitTimeout
from producer import as_dataset, push, results
from producer.evaluation.pool import Progress, unseen
from producer.listings import Listing
from producer.push import Pushed
from producer.status import JobStatusView
from producer.submit import check_priority

if TYPE_CHECKING:
    from datasets import Dataset

    from jobs.store.control import Retried
    from jobs.store.summaries import Failures
    from producer.client import Client
    from producer.evaluation.diff import Diff
    from producer.evaluation.evaluate import Evaluation
    from producer.mill import Mill


class NobodyWorks(UserWarning):
    """The job is accepted, but something that it needs does not run."""


class Job:
    """A job that was submitted. Holds its id; everything else is asked when needed."""

    def __init__(self, client: "Client", job_id: str, *, new: bool = False) -> None:
        self.id = job_id
        self.new = new
        """Whether this submission made it; False where an idempotency key led to it."""
        self._client = client

    @property
    def _mill(self) -> "Mill":
        return self._client.mill

    def __repr__(self) -> str:
        return f"<gistmill.Job {self.id}>"

    def status(self) -> JobStatusView:
        return self._mill.status(self.id)

    def wait(self, timeout: float | None = None) -> JobStatusView:
        """Wait until the job is over, `timeout` seconds at most. Raises WaitTimeout.

        A mill or database that goes down meanwhile is waited for, a minute at most.
        """
        ends = None if timeout is None else monotonic() + timeout
        if missing := self._client.patiently(self._client.missing, ends):
            message = f"no {' and no '.join(missing)} is alive; start them with: gistmill up"
            warnings.warn(NobodyWorks(message), stacklevel=2)
        look = partial(self._client.patiently, self.status, ends)
        while not (status := look()).over:
            if ends is not None and monotonic() >= ends:
                raise WaitTimeout(f"{self.id} is {status.status} after {timeout:g} s; it goes on")
            sleep(self._client.settings.timings.poll)
        return status

    def listing(
        self, *, join: bool = False, summary_column: str | None = None
    ) -> AbstractContextManager[Listing]:
        """A context in which the rows are read; see `results` for what they are."""
        if summary_column is not None and not join:
            raise UsageError("--summary-column names a column beside the source's: add --join")
        return self._mill.listing(self.id, join=join, summary_column=summary_column)

    def results(
        self, *, join: bool = False, summary_column: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Result rows in order of index, failed documents included; what is stored so far.

        With `join` the source's own columns, the summary beside them, and why there is none in
        `summary_error`. A source with a column `summary` keeps it: the new one is
        `generated_summary` then, or what `summary_column` says.
        """
        # A generator, so that the job's client stays open until the last row.
        with self.listing(join=join, summary_column=summary_column) as listing:
            yield from listing.rows()

    def save(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,  # noqa: A002 - the option's name
        *,
        join: bool = False,
        summary_column: str | None = None,
    ) -> int:
        """Write the rows to a file or a URL, whole or not at all; returns how many there are.

        `format` is "jsonl", "csv" or "parquet"; without it, what `path` ends in, else
        "jsonl". Raises UsageError for another one, NotFound where the file can not be
        written. `join` and `summary_column` as in `results`.
        """
        with self.listing(join=join, summary_column=summary_column) as listing:
            return results.save(listing.write, path, format)

    def to_dataset(self, *, join: bool = True, summary_column: str | None = None) -> "Dataset":
        """The rows as a `datasets.Dataset` in a file under the home, mapped into memory.

        Joined with the source unless `join` is False. The file is there until this process ends.
        """
        with self.listing(join=join, summary_column=summary_column) as listing:
            return as_dataset.dataset(listing, self._client.settings.home / "results")

    def push_to_hub(
        self, repository: str, *, private: bool = False, summary_column: str | None = None
    ) -> Pushed:
        """Make `ORG/NAME`, a dataset on the hub, hold the join and a card of it.

        What it held of an earlier push is replaced. The token is HF_TOKEN. Raises NotAllowed
        where that may not write there, or the repository holds something else or, while
        `private` is asked, is public; Unreachable where the hub does not answer.
        """
        job = self._mill.made(self.id)
        with self.listing(join=True, summary_column=summary_column) as listing:
            folder = self._client.settings.home / "results"
            return push.push(job, listing, repository, private=private, folder=folder)

    def failures(self, samples: int = 3) -> "list[Failures]":
        """Failed documents by error code, the most frequent first."""
        check_least("samples", samples)
        return self._mill.failures(self.id, samples)

    def evaluate(
        self,
        samples: int = 3,
        *,
        reference_column: str | None = None,
        read_documents: bool = True,
        progress: Progress = unseen,
    ) -> "Evaluation":
        """ROUGE against the references beside lead-3, compression, novelty and what is odd:
        docs/evaluation.md. Of a running job, of what is stored.

        `reference_column` is one of the source's columns, in the place of the one that the job
        was submitted with. Raises UsageError where there is nothing to evaluate, NotFound where
        the documents can not be read any more; `read_documents=False` does without them.
        """
        check_least("samples", samples)
        if reference_column and not read_documents:
            raise UsageError("a reference column is read with the documents: read both")
        return self._mill.evaluate(
            self.id, samples, reference_column, progress, read_documents=read_documents
        )

    def diff(self, other: "Job", samples: int = 3, *, progress: Progress = unseen) -> "Diff":
        """This job, a, beside another one, b, over the same documents: docs/evaluation.md.

        Raises UsageError where both have no summary of the same document.
        """
        check_least("samples", samples)
        return self._mill.diff(self.id, other.id, samples, progress)

    # --- asking

    def cancel(self) -> None:
        """Stop it; what is done is kept. Raises WrongState where it is over."""
        self._mill.cancel(self.id)

    def pause(self) -> None:
        """Stop it for now; a batch in hand is finished. Raises WrongState."""
        self._mill.pause(self.id)

    def resume(self) -> None:
        """Go on with a paused job, or one that its error rate ended. Raises WrongState."""
        self._mill.resume(self.id)

    def set_priority(self, priority: int) -> None:
        """Jobs of a higher priority go first. Raises WrongState where it is over."""
        check_priority(priority)
        self._mill.set_priority(self.id, priority)

    def retry(self, error: str | None = None) -> "Retried":
        """Do again what failed, of one error code alone if given, and what was cut off.

        Raises WrongState where the job is not over or was a dry run, UsageError for a code that
        no document fails with.
        """
        return self._mill.retry(self.id, error)


def check_least(what: str, number: int) -> None:
    """Raises UsageError where there would be less than none."""
    if number < 0:
        raise UsageError(f"{what} {number}: write 0 or more")
