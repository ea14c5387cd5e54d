"""jobfleet itself, as a user would write it.

# /// script
# dependencies = []
# [tool.bench]
# name = "jobfleet"
# imports = "from jobfleet import Fleet"
# delivery = "at least once"
# environment = "this repository's"
# handlers = ["async", "sync"]
# enqueues = ["bulk", "concurrent", "one_async", "one_sync", "deep"]
# keeps_completed = true
# setting = "uvloop"
# ///
"""

from __future__ import annotations

import dataclasses

from agent import CONCURRENCY, KEEP, TEXT, URL, Agent, become, handler, serve

from jobfleet import Fleet, JobOptions
from jobfleet.inspection import Inspector, QueueAddress, QueueSettings

QUEUE = "bench"
PRIORITIES = range(1, 11)
GROUPS = 10_000
BATCH = 1000
HAS_GROUPS = any(field.name == "group" for field in dataclasses.fields(JobOptions))
fleet = Fleet(URL)
noop = fleet.job(queue=QUEUE, name="noop", attempts=3)(handler())


class Jobfleet(Agent):
    async def open(self) -> None:
        if KEEP:
            await self._keep(KEEP)

    @staticmethod
    async def _keep(count: int) -> None:
        inspector = Inspector(URL)
        await inspector.apply_settings(QueueAddress("default", QUEUE), QueueSettings(keep_completed=count))
        await inspector.close()

    async def close(self) -> None:
        await fleet.close()

    async def enqueue(self, n: int) -> None:
        await noop.enqueue(n=n, text=TEXT)

    def enqueue_sync(self, n: int) -> None:
        noop.enqueue_sync(n=n, text=TEXT)

    async def enqueue_bulk(self, numbers: range) -> None:
        await noop.enqueue_many({"n": n, "text": TEXT} for n in numbers)

    async def enqueue_deep(self, numbers: range) -> None:
        for part, at in enumerate(range(0, len(numbers), BATCH)):
            batch = numbers[at : at + BATCH]
            job = noop.options(priority=PRIORITIES[part % len(PRIORITIES)])
            if not HAS_GROUPS:
                await job.enqueue_many({"n": n, "text": TEXT} for n in batch)
                continue
            # One call a group; so that all groups are in use early, a batch is cut among a hundred of them.
            for cut in range(0, len(batch), 10):
                grouped = job.options(group=f"g{(part * 100 + cut // 10) % GROUPS}")  # type: ignore[call-arg]
                await grouped.enqueue_many({"n": n, "text": TEXT} for n in batch[cut : cut + 10])

    async def count(self) -> int:
        return (await fleet.status(QUEUE)).waiting

    def work(self) -> None:
        worker = ("-m", "jobfleet", "worker", "jobfleet_peer:fleet")
        become(*worker, "--concurrency", str(CONCURRENCY), "--log-level", "warning")


if __name__ == "__main__":
    serve(Jobfleet())
