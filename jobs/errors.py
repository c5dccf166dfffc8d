"""Every error that gistmill raises on purpose.

    GistmillError
    ├── UsageError            the request makes no sense as given            exit 2
    │   └── KeyTaken          its idempotency key belongs to other content   exit 2
    ├── NotAllowed            the request is understood and refused          exit 4
    │   └── WrongState        the job is in no state for it                  exit 4
    ├── NotFound              no such job, file or model                     exit 5
    │   └── NotMigrated       the database lacks our tables                  exit 5
    ├── Unreachable           a database, broker or mill does not answer     exit 5
    │   ├── DatabaseUnreachable
    │   │   └── DatabaseRefuses   it answers, and takes no writes
    │   ├── BrokerUnreachable
    │   └── MillUnreachable
    ├── WaitTimeout           the job was not over in time                   exit 124
    └── WorkError             raised while a worker works, with a `code` that is stored;
        │                     from a command, such as `text`                 exit 1
        ├── TransientError    try the shard again later, from SQL
        ├── DocumentError     ends this document; the others go on
        └── JobError          ends the job

A message is one line that says what is wrong, where, and how to mend it. What
is not in this tree is a defect of ours (exit 70).
"""

from typing import ClassVar

DOCUMENT_CODES = (
    *("invalid_csv", "invalid_json", "invalid_utf8", "missing_text", "text_not_string"),
    *("empty_document", "too_long", "generation_failed", "out_of_memory", "worker_died"),
    "unstorable",
)
"""What a document can fail of: docs/errors.md says what each means."""


class GistmillError(Exception):
    """Something that the user or the operator can mend."""

    exit_code: ClassVar[int] = 70


class UsageError(GistmillError):
    """The request makes no sense as given."""

    exit_code = 2


class KeyTaken(UsageError):
    """The idempotency key belongs to a job with other content."""


class NotAllowed(GistmillError):
    """The request is understood and refused."""

    exit_code = 4


class WrongState(NotAllowed):
    """The job is in no state for it: over already, or not yet."""


class NotFound(GistmillError):
    """There is no such job, file or model."""

    exit_code = 5


class NotMigrated(NotFound):
    """The database lacks the tables of this version: `gistmill migrate` makes them."""


class Unreachable(GistmillError):
    """A server that gistmill needs does not answer."""

    exit_code = 5


class DatabaseUnreachable(Unreachable):
    """The SQL database does not answer."""


class DatabaseRefuses(DatabaseUnreachable):
    """The SQL database answers, but its disk is full or it is a standby."""


class BrokerUnreachable(Unreachable):
    """Redis does not answer."""


class MillUnreachable(Unreachable):
    """A mill that is asked over HTTP does not answer, or its database does not."""


class WaitTimeout(GistmillError):
    """The job was not over in time; it goes on."""

    exit_code = 124


class WorkError(GistmillError):
    """Work on a document, a shard or a job failed; `code` is stored with the message.

    The codes are a closed list, see docs/errors.md.
    """

    exit_code = 1

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class TransientError(WorkError):
    """The shard can be tried again later."""


class DocumentError(WorkError):
    """This document can not be summarized; the others can."""


class JobError(WorkError):
    """No document of this job can be summarized."""
