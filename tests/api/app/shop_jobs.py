"""The jobs that the worker processes of the api tests run."""

import asyncio
from pathlib import Path

from jobfleet import Fleet

fleet = Fleet.from_env()


@fleet.job(queue="photos", timeout=120, attempts=1)
async def nap(seconds: float) -> str:
    """Hold a slot for a while; tried once, so that an interrupted one fails the count."""
    await asyncio.sleep(seconds)
    return "rested"


@fleet.job(queue="photos", timeout=300, attempts=1)
async def hold() -> None:
    """Hold a slot until the test's node lets go; tried once."""
    while not await asyncio.to_thread(Path("let-go").exists):
        await asyncio.sleep(0.05)
