"""The page of one job."""

from producer.client import Client
from producer.dashboard.elements import El


async def show(client: Client, job_id: str) -> None:
    """`client` is the visitor's own. Raises NotFound where that sees no such job."""
    El("h1", client.job(job_id).id)
