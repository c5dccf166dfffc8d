"""A look into some documents of a job before any is done: read, and tokenized as the job would.

Loads no weights, and leases nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.database import Database
from jobs.documents import Document
from jobs.parameters import Effective
from jobs.sources import Sources
from jobs.store import queueing
from worker import models
from worker.models import Resolved


@dataclass(frozen=True, slots=True)
class Sampled:
    """Some documents, those that can not be used among them."""

    shards: int
    """How many the job has."""
    documents: Sequence[Document]
    lengths: Sequence[int]
    """Input tokens of each one that can be used, before it is cut."""

    @property
    def texts(self) -> list[str]:
        """Of those that can be used."""
        return [each.text for each in self.documents if each.text is not None]

    def read_lengths(self, effective: Effective) -> list[int]:
        """Input tokens of each one that can be used, as the model will read it: all of them in
        parts, about, or as many as it reads at once."""
        most = effective.max_input_tokens
        if most is None or effective.long_documents == "map-reduce":
            return list(self.lengths)
        return [min(length, most) for length in self.lengths]


def take(
    database: Database,
    job_id: str,
    resolved: Resolved,
    effective: Effective,
    sources: Sources,
    *,
    shards: int,
    documents: int,
) -> Sampled:
    """The first `documents` of each of so many shards, which are spread evenly over the job.

    Raises JobError where the source may not or can not be read, TransientError where that may
    pass.
    """
    with database.transaction() as tx:
        count, chosen = queueing.sample(tx, job_id, shards)
    found = [document for extent in chosen for document in sources.read(extent)[:documents]]
    texts = [document.text for document in found if document.text is not None]
    return Sampled(count, found, models.lengths(resolved, texts, effective))
