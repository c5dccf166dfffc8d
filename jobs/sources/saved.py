"""Folders that `save_to_disk` of `datasets` wrote: which of their files hold the rows, in order.

A Dataset has a `state.json` that names them; a DatasetDict has a folder like that for each split.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.allowed_sources import Allowed
from jobs.errors import UsageError

_STATE = "state.json"
_SPLITS = "dataset_dict.json"


def find(folder: Path, split: str | None, allowed: Allowed) -> Sequence[Path]:
    """Nothing where it is another kind of folder.

    Raises UsageError for a split that is not there or is missing, NotAllowed.
    """
    if (folder / _SPLITS).is_file():
        folder /= _split(folder, split, _read(folder / _SPLITS, allowed))
    elif not (folder / _STATE).is_file():
        return []
    elif split is not None:
        raise UsageError(f"{folder}: holds one split, which has no name; leave out --split")
    try:
        return [
            folder / file["filename"] for file in _read(folder / _STATE, allowed)["_data_files"]
        ]
    except (KeyError, TypeError):
        raise UsageError(f"{folder / _STATE}: not what save_to_disk writes") from None


def _split(folder: Path, split: str | None, found: Any) -> str:
    splits = found.get("splits") if isinstance(found, dict) else None
    if not isinstance(splits, list) or not all(isinstance(each, str) for each in splits):
        raise UsageError(f"{folder / _SPLITS}: not what save_to_disk writes")
    if split is None or split not in splits:
        what = "choose a split" if split is None else f"it has no split {split!r}; choose one"
        raise UsageError(f"{folder}: {what} with --split; there are: {', '.join(splits)}")
    return split


def _read(path: Path, allowed: Allowed) -> Any:
    allowed.check_path(path)
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not what save_to_disk writes ({error})") from None
