"""What takes long holds up nothing else."""

import asyncio
from threading import Event

from producer.api.apart import Apart


def test_those_who_wait_hold_no_thread() -> None:
    begun: list[int] = []
    go_on = Event()

    @Apart(1)
    def slow(number: int) -> int:
        begun.append(number)
        assert go_on.wait(30)
        return number

    async def many() -> list[int]:
        # As many as there are threads for all the rest.
        waiting = [asyncio.create_task(slow(number)) for number in range(40)]
        while not begun:
            await asyncio.sleep(0)
        assert await asyncio.wait_for(asyncio.to_thread(begun.copy), 30) == begun
        assert len(begun) == 1
        go_on.set()
        return await asyncio.gather(*waiting)

    assert asyncio.run(many()) == [*range(40)]
    assert sorted(begun) == [*range(40)]
