"""Models on the hub: a search, and what was made of one model.

Needs no torch. Which engine a model would have is what `jobs.hub_models` makes of its tags.
"""

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from jobs import hub, hub_models
from jobs.errors import NotFound
from jobs.hub_models import BASE, FIELDS, HubModel

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelSort_T

SORTS: "dict[str, ModelSort_T]" = {
    "downloads": "downloads",
    "likes": "likes",
    "trending": "trending_score",
    "created": "created_at",
    "updated": "last_modified",
}
"""What may be sorted by, and the hub's name for it; the largest and the newest are first."""
RELATIONS = ("finetune", "quantized", "adapter", "merge")


@dataclass(frozen=True, slots=True)
class Related:
    """The family of a model."""

    model: HubModel
    bases: dict[str, tuple[HubModel, ...]]
    """What it was made of, by how ("finetune", …)."""
    made_of_it: dict[str, tuple[HubModel, ...]]
    """By how, in the order of `RELATIONS`, each by downloads."""


def search(
    words: str = "",
    *,
    task: str | None = None,
    language: str | None = None,
    license: str | None = None,  # noqa: A002 - what the hub calls it
    author: str | None = None,
    parameters: tuple[str | None, str | None] = (None, None),
    sort: str = "downloads",
    limit: int = 20,
) -> list[HubModel]:
    """At most `limit` models, the first by `sort` first; all of what is given holds for each.

    `task`: the hub's pipeline tag. `language`: as in its tags, "en". `parameters`: at least and
    at most, as the hub writes them ("500M", "1B"); one bound leaves out what was never counted.
    `sort`: one of `SORTS`.
    Raises NotFound, NotAllowed and Unreachable.
    """
    from huggingface_hub import HfApi

    what = words or "models"
    hub.check_that_it_answers(what)
    tags = [f"license:{license.lower()}" if license else None, language]
    bounds = [
        f"{end}:{bound}"
        for end, bound in zip(("min", "max"), parameters, strict=True)
        if bound is not None
    ]
    with hub.asking(what):
        found = HfApi().list_models(
            search=words or None,
            pipeline_tag=task,
            filter=[tag for tag in tags if tag],
            author=author,
            num_parameters=",".join(bounds) or None,
            sort=SORTS[sort],
            limit=limit,
            expand=FIELDS,
        )
        return [hub_models.told(info) for info in found]


def related(model: str, limit: int = 5) -> Related:
    """What the model was made of, and at most `limit` of each kind that were made of it.

    `model`: ORG/NAME. Raises NotFound, NotAllowed and Unreachable.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    hub.check_that_it_answers(model)
    with hub.asking(model):
        info = api.model_info(model, expand=FIELDS)
        made = {relation: _made(api, info.id, relation, limit) for relation in RELATIONS}
    return Related(
        hub_models.told(info),
        _bases(api, hub_models.bases(info)),
        {relation: found for relation, found in made.items() if found},
    )


def _made(api: "HfApi", model: str, relation: str, limit: int) -> tuple[HubModel, ...]:
    found = api.list_models(
        filter=f"{BASE}{relation}:{model}", sort="downloads", limit=limit, expand=FIELDS
    )
    return tuple(hub_models.told(info) for info in islice(found, limit))


def _bases(api: "HfApi", how: dict[str, str]) -> dict[str, tuple[HubModel, ...]]:
    found: dict[str, tuple[HubModel, ...]] = {}
    for model, relation in how.items():
        found[relation] = (*found.get(relation, ()), _base(api, model))
    return found


def _base(api: "HfApi", model: str) -> HubModel:
    """A card may name what is no longer there, or what never was."""
    try:
        with hub.asking(model):
            return hub_models.told(api.model_info(model, expand=FIELDS))
    except NotFound:
        return HubModel(model, reason="not there")
