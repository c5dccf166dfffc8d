"""The names that models go by, the same for those who submit and those who work.

    lead-N               the first N sentences
    smollm2-135m         the packaged model
    a folder             of a model in the Hugging Face layout
    a .gguf file
    ORG/NAME[@REVISION]  on the hub

Looks at this machine's files only; whether a model can be used, and what a hub has,
is found out by a worker.
"""

import difflib
import re
from pathlib import Path

from jobs.allowed_sources import Allowed
from jobs.errors import UsageError

PACKAGED = "smollm2-135m"
HUB = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>\S+))?")

_LEAD = re.compile(r"lead-([1-9]\d{0,3})")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_LIKE_LEAD = re.compile(r"lead\W?([1-9]\d{0,3})")
_ALL = f"lead-N, {PACKAGED}, a folder, a .gguf file or ORG/NAME[@REVISION]"


def is_lead(name: str) -> bool:
    return _LEAD.fullmatch(name) is not None


def local(name: str) -> Path | None:
    """The folder or .gguf file that `name` means on this machine; None where it means none."""
    path = Path(name).expanduser()
    found = path.is_dir() or (path.suffix == ".gguf" and path.is_file())
    return path.absolute() if name.strip() and found else None


def settled(name: str) -> str:
    """The name to store with a job: a folder or file of this machine by its absolute path.

    An absolute path that is not here is taken as it is: it may be there on the workers.
    Raises UsageError for a name that nobody could know.
    """
    if is_lead(name) or name == PACKAGED:
        return name
    if found := local(name):
        return str(found)
    wrong = problem(name)
    if wrong and not Path(name).is_absolute():
        raise UsageError(wrong)
    return name


def settled_elsewhere(name: str, allowed: Allowed) -> str:
    """The name to store with a job where somebody on another machine said it: no relative path,
    and an absolute one only below `allowed`.

    Says nothing of what lies elsewhere. Raises UsageError for a name that nobody could know,
    NotAllowed for a path elsewhere.
    """
    if is_lead(name) or name == PACKAGED:
        return name
    if _UNSTORABLE.search(name):
        raise UsageError("model: holds NUL or is no Unicode; name one as " + _ALL)
    path = Path(name)
    if path.is_absolute():
        allowed.check_path(path)
        return settled(name)
    if "/" not in name and name[:1] != "~" and path.suffix != ".gguf":
        raise UsageError(_no_such_model(name))
    if path.suffix == ".gguf" or name[0] in ".~" or not HUB.fullmatch(name) or ".." in path.parts:
        raise UsageError(
            f"{name}: is neither ORG/NAME nor an absolute path; write a path as it is on the "
            "mill's own machines"
        )
    return name


def problem(name: str) -> str | None:
    """What is wrong with a name that means nothing on this machine; None where a hub may
    have it."""
    path = Path(name).expanduser()
    if "/" not in name and not name.startswith("~") and path.suffix != ".gguf":
        return _no_such_model(name)
    if path.exists():
        return f"{name}: is neither a folder nor a .gguf file; name the folder that it lies in"
    kind = "file" if path.suffix == ".gguf" else "folder"
    if kind == "file" or name[0] in "/.~" or not HUB.fullmatch(name):
        where = "" if Path(name).is_absolute() else f": {path.absolute()}"
        return f"{name}: no such {kind}{where}"
    return None


def _no_such_model(name: str) -> str:
    if not name.strip():
        return "model: name one, such as lead-3, a folder, or ORG/NAME"
    like = _LIKE_LEAD.fullmatch(name.lower())
    near = [f"lead-{like[1]}"] if like else difflib.get_close_matches(name.lower(), [PACKAGED])
    hint = f"did you mean {near[0]}?" if near else f"name one as {_ALL}"
    return f"{name}: no such model; {hint}"
