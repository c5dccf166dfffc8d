"""Model files from the Hugging Face hub, through its cache.

A revision is settled to a commit once; whatever is cached at that commit needs
no network any more. What the hub refuses ends the job, a hub that does not
answer is tried again later.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs import hub
from jobs.errors import JobError, NotAllowed, NotFound, TransientError, Unreachable
from worker import model_files


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
    try:
        with hub.asking(repository):
            yield
    except (NotFound, NotAllowed) as error:
        raise JobError("model_unknown", str(error)) from error
    except Unreachable as error:
        raise TransientError("hub_unreachable", str(error)) from error
