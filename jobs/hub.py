"""What the Hugging Face hub says when it does not give what it is asked for.

`asking` turns each such answer of its clients into one line of ours: what is not there
(NotFound), what is closed to us (NotAllowed), a hub that says nothing (Unreachable; asked
again later, it may answer). A worker makes errors of a job of them. Asks nothing itself.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobs.errors import NotAllowed, NotFound, Unreachable

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

_LATER = frozenset({408, 429})
"""Answers below 500 that still mean: ask again later."""
_RESETS = re.compile(r"\bt=(\d+)")
"""In the header `ratelimit`: seconds until more may be asked."""


def plain(text: object) -> str:
    """What the hub says, as a terminal may show it: in one line, without a control character."""
    words = " ".join(str(text).split())
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)


def check_that_it_answers(what: str) -> None:
    """Raises Unreachable at once where it does not: the client would ask for a listing six times
    over in half a minute, with a warning for each."""
    from huggingface_hub import HfApi
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # it has no list of names
        build_hf_headers,
        get_session,
        hf_raise_for_status,
    )

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    with asking(what):
        url = f"{HfApi().endpoint}/api/models?limit=1"
        hf_raise_for_status(get_session().get(url, headers=build_hf_headers()))


@contextmanager
def asking(repository: str) -> Iterator[None]:
    """Around calls of huggingface_hub about `repository` (a model's or a dataset's ORG/NAME, or
    what is looked for).

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
        raise _answer(repository, error) from error
    except (HTTPError, OSError, RevisionResolutionError) as error:
        raise _silent(repository, error) from error


def _answer(repository: str, error: "HfHubHTTPError") -> NotAllowed | NotFound | Unreachable:
    status = error.response.status_code
    if status == 429:
        header = error.response.headers
        found = _RESETS.search(header.get("ratelimit", ""))
        wait = found[1] if found else header.get("retry-after", "")
        when = f"in {wait} s" if wait.isdigit() else "later"
        return Unreachable(
            f"{repository}: the hub is asked too often; try again {when}, or set HF_TOKEN"
        )
    if status in _LATER or status >= 500:
        return _unreachable(repository, error)
    if status == 401:
        return NotAllowed(f"{repository}: the hub does not take this HF_TOKEN; set another")
    return NotFound(f"{repository}: {_first_line(error)}")


def _silent(repository: str, error: Exception) -> NotFound | Unreachable:
    from huggingface_hub import is_offline_mode

    if is_offline_mode():
        return NotFound(
            f"{repository}: not in the local cache, and HF_HUB_OFFLINE keeps from asking; unset it"
        )
    return _unreachable(repository, error)


def _unreachable(repository: str, error: Exception) -> Unreachable:
    reason = _first_line(error.__cause__ or error)
    return Unreachable(f"{repository}: the hub does not answer ({reason})")


def _first_line(error: BaseException) -> str:
    return plain(next(iter(str(error).strip().splitlines()), type(error).__name__))
