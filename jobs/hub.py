"""What the Hugging Face hub says when it does not give what it is asked for.

`asking` turns each such answer of its clients into one line of ours: what is not there
(NotFound), what is closed to us (NotAllowed), a hub that says nothing (Unreachable; asked
again later, it may answer). A worker makes errors of a job of them. Asks nothing itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from jobs.errors import NotAllowed, NotFound, Unreachable

_LATER = frozenset({408, 429})
"""Answers below 500 that still mean: ask again later."""


@contextmanager
def asking(repository: str) -> Iterator[None]:
    """Around calls of huggingface_hub about `repository` (a model's or a dataset's ORG/NAME).

    Raises NotFound, NotAllowed and Unreachable, each with `repository` in its message.
    """
    from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is its client's
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
        RevisionResolutionError,
    )

    try:
        yield
    except HFValidationError as error:
        raise NotFound(f"{repository}: {_first_line(error)}") from error
    except GatedRepoError as error:
        message = f"{repository}: is gated; accept its terms on the hub and set HF_TOKEN"
        raise NotAllowed(message) from error
    except RepositoryNotFoundError as error:
        message = f"{repository}: not on the hub, or private and HF_TOKEN does not open it"
        raise NotFound(message) from error
    except RevisionNotFoundError as error:
        message = f"{repository}: the hub does not have this revision of it"
        raise NotFound(message) from error
    except HfHubHTTPError as error:
        if error.response.status_code in _LATER or error.response.status_code >= 500:
            raise _unreachable(repository, error) from error
        raise NotFound(f"{repository}: {_first_line(error)}") from error
    except (HTTPError, OSError, RevisionResolutionError) as error:
        raise _silent(repository, error) from error


def _silent(repository: str, error: Exception) -> NotFound | Unreachable:
    from huggingface_hub import is_offline_mode

    if is_offline_mode():
        message = f"{repository}: not in the local cache, and HF_HUB_OFFLINE keeps from asking"
        return NotFound(message)
    return _unreachable(repository, error)


def _unreachable(repository: str, error: Exception) -> Unreachable:
    reason = _first_line(error.__cause__ or error)
    return Unreachable(f"{repository}: the hub does not answer ({reason})")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
