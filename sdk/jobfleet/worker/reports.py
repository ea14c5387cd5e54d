"""What the attempts of one lane tell, on its way to Redis: all of it in one pipeline, at most a few times a second.

It may be told from any thread and waits for nothing. An attempt's outcome goes after what it told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Sequence

from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.clients.patience import lacks_memory
from jobfleet.errors import JobfleetError, Unavailable
from jobfleet.report import Report
from jobfleet.scripts.processing import Note, Outcome, note
from jobfleet.seal import Seal

log = logging.getLogger("jobfleet.worker")

REST_SECONDS = 0.1
"""Between one sending and the next, unless somebody waits for it."""

AT_ONCE = 100
"""Reports in one pipeline."""


class Reports:
    """Gathers and sends; ``lost`` is called with the id and attempt of a report that Redis refused."""

    def __init__(
        self, client: AsyncClient, at: tuple[str, str], worker: str, seal: Seal, lost: Callable[[str, int], None]
    ) -> None:
        self._client, self._at, self._worker, self._seal = client, at, worker, seal
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._open: dict[tuple[str, int], Report] = {}
        self._stir = asyncio.Event()
        self._stirred = False
        self._sending = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None

    def take(self, report: Report, progress: bytes, lines: Iterable[bytes], first: int | None = None) -> None:
        """Add to a report and send it soon. From any thread."""
        with self._lock:
            if report.closed:
                return
            report.add(progress, lines, first)
            self._open[report.id, report.attempt] = report
            stirred, self._stirred = self._stirred, True
        if not stirred:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody sends any more
                self._loop.call_soon_threadsafe(self._stir.set)

    async def kept(self, report: Report) -> bool:
        """Send now, and say whether it was taken. From any event loop."""
        if asyncio.get_running_loop() is not self._loop:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.kept(report), self._loop))
        try:
            if (report.id, report.attempt) in self._open:
                await self._send_all()
        except Unavailable:
            return False
        return not report.closed

    async def before(self, outcomes: Sequence[Outcome]) -> None:
        """Send what the attempts told whose outcomes come next; where Redis has no memory left, these go without it.

        Outcomes are taken all the same then, and may be what gives memory free.

        Raises:
            Unavailable: Redis gave no answer; nothing is forgotten.
        """
        if self._open:
            found = (self._open.get((outcome.id, outcome.attempt)) for outcome in outcomes)
            if ending := [report for report in found if report is not None]:
                try:
                    await self._send(ending)
                except Unavailable as error:
                    if not lacks_memory(error):
                        raise
                    log.warning("Redis has no memory for what jobs told last: %s", error, extra={"jobs": len(ending)})

    async def run(self) -> None:
        """Send whenever there is something, for ever."""
        while True:
            await self._stir.wait()
            self._stir.clear()
            self._stirred = False
            try:
                await self._send_all()
            except Unavailable as error:
                log.warning("Redis did not take what jobs told, and is asked again: %s", error)
                self._stir.set()
            await asyncio.sleep(REST_SECONDS)

    async def _send_all(self) -> None:
        """Send all that was told until now; who calls meanwhile shares what comes next, and may be cancelled alone."""
        if self._next is None:
            self._next = self._loop.create_task(self._send(None))
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._next)

    async def _send(self, wanted: Sequence[Report] | None) -> None:
        """Send those that are open when it is their turn, or all; of one report, everything arrives in order."""
        async with self._sending:
            if wanted is None:
                self._next, wanted = None, list(self._open.values())
            reports = [report for report in wanted if (report.id, report.attempt) in self._open]
            for start in range(0, len(reports), AT_ONCE):
                await self._send_some(reports[start : start + AT_ONCE])

    async def _send_some(self, reports: Sequence[Report]) -> None:
        with self._lock:
            told = [report.told() for report in reports]
        notes = [Note(report.id, report.attempt, *what) for report, what in zip(reports, told, strict=True)]
        realm, queue = self._at
        try:
            taken = await self._client.run_many(
                [note(realm, queue, self._worker, one, seal=self._seal) for one in notes]
            )
        except Unavailable:
            raise
        except JobfleetError as error:  # it must not keep outcomes back
            log.warning("what jobs told is lost: %s", error, extra={"queue": queue})
            taken = [True] * len(reports)
        with self._lock:
            for report, what, kept in zip(reports, told, taken, strict=True):
                if kept:
                    report.taken(what)
                else:
                    report.close()
                if report.empty:
                    self._open.pop((report.id, report.attempt), None)
        for report, kept in zip(reports, taken, strict=True):
            if not kept:
                self._lost(report.id, report.attempt)
