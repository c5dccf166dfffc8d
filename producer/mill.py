"""What a client asks of a mill, wherever that is: `producer.local` answers from SQL and broker,
`producer.remote` over HTTP.

`Client` and `Job` are what users hold, and the same for both; here is what lies beneath. A job is
named by its whole id, but for `find`. Raises are those of the methods of `Client` and `Job`.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from jobs import columns
from jobs.sources.asked import Asked
from jobs.states import JobStatus
from producer.status import JobStatusView
from producer.submit import Accepted, Request

if TYPE_CHECKING:
    from jobs.store.control import Retried
    from jobs.store.summaries import Failures
    from producer.card import Made
    from producer.evaluation.diff import Diff
    from producer.evaluation.evaluate import Evaluation
    from producer.evaluation.pool import Progress
    from producer.listings import Listing


class Mill(Protocol):
    # --- submitting

    def model(self, name: str) -> str:
        """The name to store with a job. Raises UsageError for one that nobody could know."""

    def submit_items(
        self, request: Request, items: Iterable[str | Mapping[str, Any]], named: columns.Asked
    ) -> Accepted:
        """Texts, or mappings with a text in them."""

    def submit_stream(
        self, request: Request, stream: BinaryIO, named: columns.Asked, *, plain: bool
    ) -> Accepted:
        """JSON lines, or where they are `plain` a text a line."""

    def submit_source(self, request: Request, location: str, asked: Asked) -> Accepted:
        """A path, a pattern of paths, a URL, or ORG/NAME."""

    def submit_dataset(self, request: Request, dataset: Any, named: columns.Asked) -> Accepted:
        """A `datasets.Dataset` or `IterableDataset`."""

    # --- looking

    def find(self, prefix: str) -> str:
        """The id that begins so. Raises NotFound, or UsageError if several do."""

    def jobs(
        self,
        limit: int,
        labels: Mapping[str, str] | None,
        statuses: Collection[JobStatus],
        before: str | None,
        containing: str,
    ) -> list[JobStatusView]:
        """The newest first."""

    def status(self, job_id: str) -> JobStatusView:
        """As it stands."""

    def webhook_secret(self) -> str:
        """What signatures of webhooks are checked with."""

    def missing(self) -> list[str]:
        """What does not run but must, for jobs to go on."""

    def listing(
        self, job_id: str, *, join: bool, summary_column: str | None
    ) -> "AbstractContextManager[Listing]":
        """Its rows, as long as the context is open."""

    def made(self, job_id: str) -> "Made":
        """What a card says of it."""

    def failures(self, job_id: str, samples: int) -> "list[Failures]":
        """By error code, the most frequent first."""

    def evaluate(
        self,
        job_id: str,
        samples: int,
        reference_column: str | None,
        progress: "Progress",
        *,
        read_documents: bool,
    ) -> "Evaluation":
        """Of what is stored so far."""

    def diff(self, a: str, b: str, samples: int, progress: "Progress") -> "Diff":
        """Of what is stored so far."""

    # --- asking

    def cancel(self, job_id: str) -> None: ...

    def pause(self, job_id: str) -> None: ...

    def resume(self, job_id: str) -> None: ...

    def set_priority(self, job_id: str, priority: int) -> None: ...

    def retry(self, job_id: str, error: str | None) -> "Retried": ...

    def purge(self, older_than: float, *, dry_run: bool) -> list[str]:
        """The ids of what is deleted, or would be."""

    def close(self) -> None:
        """Let go of its connections. A second time does nothing."""
