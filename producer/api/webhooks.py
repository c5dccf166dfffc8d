"""`/v1/webhooks`: what a user checks the signatures of webhooks with."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from producer.api.guard import Submitting

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


class Secret(BaseModel):
    """Of Standard Webhooks: `whsec_` and base64."""

    object: Literal["webhook.secret"] = "webhook.secret"
    secret: str


@router.get("/secret")
def get_webhook_secret(client: Submitting) -> Secret:
    """The secret that webhooks of this token's jobs are signed with."""
    return Secret(secret=client.webhook_secret())
