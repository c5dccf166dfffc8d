"""`/v1/models`: those that this caller's jobs have used, and those that need no download."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from producer import known_models
from producer.api.guard import Reading
from producer.known_models import KnownModel

router = APIRouter(prefix="/v1/models", tags=["models"])


class Model(BaseModel):
    """A model, as OpenAI describes one."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class Models(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


@router.get("")
def list_models(client: Reading) -> Models:
    """Any other model can be named too: `lead-N`, or `ORG/NAME` of one on the hub."""
    return Models(data=[_view(each) for each in known_models.of(client)])


@router.get("/{model:path}")
def get_model(client: Reading, model: str) -> Model:
    return _view(known_models.get(client, model))


def _view(model: KnownModel) -> Model:
    return Model(id=model.name, created=_unix(model.since), owned_by=model.owner)


def _unix(time: datetime) -> int:
    return int(time.timestamp())
