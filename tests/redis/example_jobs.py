"""The jobs that the workers of test_processes.py run, each in a process of its own."""

from __future__ import annotations

import asyncio
import gc
import os
import time

from jobfleet import Fleet, current_job

fleet = Fleet.from_env()


@fleet.job(queue="photos", attempts=1)
async def quick(n: int) -> int:
    return n


@fleet.job(queue="photos")
async def frozen() -> int:
    return gc.get_freeze_count()


@fleet.job(queue="photos")
async def first_time_endless() -> str:
    if current_job().attempt == 1:
        await asyncio.Event().wait()
    return f"attempt {current_job().attempt}"


@fleet.job(queue="photos", timeout=600)
def deaf_thread() -> str:
    if current_job().attempt == 1:
        time.sleep(600)
    return f"attempt {current_job().attempt}"


@fleet.job(queue="photos")
def kill_the_worker() -> None:
    os.kill(os.getpid(), 9)
