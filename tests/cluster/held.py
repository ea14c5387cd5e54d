"""The jobs of the cluster tests; runs in worker Pods, which get this file by a ConfigMap."""

from __future__ import annotations

import asyncio
import os

from jobfleet import Fleet, current_job

fleet = Fleet.from_env()


@fleet.job(queue="held", timeout=300, attempts=3)
async def hold(seconds: float) -> str:
    """Keep a slot for so long."""
    await asyncio.sleep(seconds)
    return os.environ["JOBFLEET_WORKER"]


@fleet.job(queue="held", timeout=300, attempts=3)
async def hold_on() -> str:
    """Keep a slot until the test lets go: that is a job of this id, which never runs."""
    while await fleet.queue("held").job("let-go") is None:
        await asyncio.sleep(0.2)
    return os.environ["JOBFLEET_WORKER"]


@fleet.job(queue="held", timeout=300, attempts=3)
async def die_once() -> str:
    """End the process as a crash would, the first time; succeed the second time."""
    if current_job().attempt == 1:
        os._exit(139)
    return os.environ["JOBFLEET_WORKER"]


@fleet.job(queue="held", timeout=300, attempts=3)
async def eat_once() -> str:
    """Take more memory than the container may have, the first time; succeed the second time."""
    if current_job().attempt == 1:
        hoard = [bytearray(b"x" * 2**20) for _ in range(1024)]
        return f"ate {len(hoard)} MiB"
    return os.environ["JOBFLEET_WORKER"]
