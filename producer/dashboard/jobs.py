"""The list of jobs."""

from producer.dashboard.elements import El
from producer.dashboard.visitors import Visitor


async def show(visitor: Visitor) -> None:
    El("h1", "Jobs")
