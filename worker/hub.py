"""Model files from the Hugging Face hub, through its cache.

A revision is settled to a commit once; whatever is cached at that commit needs
no network any more. What the hub refuses ends the job, a hub that does not
answer is tried again later.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs.errors import JobError, TransientError
from worker import model_files

_LATER = frozenset({408, 429})
"""Answers below 500 that still mean: ask again later."""


def fetch_small_files(repository: str, revision: str | None) -> tuple[str, Path]:
    """The commit that `revision` (a branch, tag or commit; None: the default branch) means
    now, and the cache folder with all of its files but the weights."""
    from huggingface_hub import HfApi, snapshot_download

    with _asking(repository):
        commit = HfApi().resolve_revision(repository, revision=revision).resolved
        folder = snapshot_download(
            repository, revision=commit, allow_patterns=list(model_files.SMALL)
        )
    return commit, Path(folder)


def check_weights(repository: str, commit: str, folder: Path) -> None:
    """Raises JobError("model_pickled") and the like, from the names of the files alone."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        # Written by the download of the small files.
        names = [file.path for file in get_cached_repo_tree(repository, revision=commit)]
    except CachedRepoTreeNotFoundError:
        names = [path.name for path in folder.iterdir()]
    model_files.weight_names(folder, names, repository)


def fetch_weights(repository: str, commit: str, folder: Path) -> None:
    """Complete the cache folder that `fetch_small_files` gave; resumes, and skips what is there."""
    from huggingface_hub import snapshot_download

    weights = model_files.wanted_weights(folder)
    if all((folder / name).exists() for name in weights):
        return
    with _asking(repository):
        snapshot_download(repository, revision=commit, allow_patterns=weights)


@contextmanager
def _asking(repository: str) -> Iterator[None]:
    """Tells a hub that says no (JobError) from one that says nothing (TransientError)."""
    from huggingface_hub import is_offline_mode
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
        raise JobError("model_unknown", f"{repository}: {_first_line(error)}") from error
    except GatedRepoError as error:
        message = f"{repository}: is gated; accept its terms on the hub and set HF_TOKEN"
        raise JobError("model_unknown", message) from error
    except RepositoryNotFoundError as error:
        message = f"{repository}: not on the hub, or private and HF_TOKEN does not open it"
        raise JobError("model_unknown", message) from error
    except RevisionNotFoundError as error:
        message = f"{repository}: the hub does not have this revision of it"
        raise JobError("model_unknown", message) from error
    except HfHubHTTPError as error:
        if error.response.status_code in _LATER or error.response.status_code >= 500:
            raise _unreachable(repository, error) from error
        raise JobError("model_unknown", f"{repository}: {_first_line(error)}") from error
    except (HTTPError, OSError, RevisionResolutionError) as error:
        if is_offline_mode():
            message = f"{repository}: not in the local cache, and HF_HUB_OFFLINE keeps from asking"
            raise JobError("model_unknown", message) from error
        raise _unreachable(repository, error) from error


def _unreachable(repository: str, error: Exception) -> TransientError:
    reason = _first_line(error.__cause__ or error)
    return TransientError("hub_unreachable", f"{repository}: the hub does not answer ({reason})")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
