"""`/healthz`: whether this process answers, and the database it needs."""

from typing import Annotated

from fastapi import APIRouter, Depends

from producer.api.guard import everything
from producer.client import Client

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz(client: Annotated[Client, Depends(everything)]) -> dict[str, object]:
    """Open to anybody: for load balancers. 503 while the database does not answer.

    `missing`: what must run for jobs to go on, and does not: `dispatcher`, `worker`.
    """
    return {"status": "ok", "missing": client.missing()}
