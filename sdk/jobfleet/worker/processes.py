"""Processes for handlers with ``run_in="process"``: one a running job, started when needed, kept for the next."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from jobfleet import codec, log_format
from jobfleet.handlers import Handler
from jobfleet.job import ClaimedJob
from jobfleet.worker import verdict
from jobfleet.worker.wire import PREFIX_BYTES, Answer, Ready, Request, Start, Word, heard, pack, unpack

log = logging.getLogger("jobfleet.worker")

KILL_GRACE_SECONDS = 2.0
"""Between SIGTERM and SIGKILL: for ``finally`` and ``with`` in a handler whose time is over."""

LOOK_SECONDS = 0.05
"""How often it is looked whether what an ended process started has ended, too."""

STILL_THERE = 0
"""The signal that only asks."""

START_SECONDS = 60.0
"""How long a process may take to import its handlers."""

_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[3:]; from jobfleet.worker.child import main; main(*map(int, sys.argv[1:3]))"
)


Hear = Callable[[Word], None]


class Child:
    """One process."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, module: str) -> Child:
        """A process that has imported ``module`` and waits for jobs.

        Raises:
            ProcessEnded: it did not come that far.
            TimeoutError: nor in :data:`START_SECONDS`.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _PROGRAM, str(theirs.fileno()), str(os.getpid()), *sys.path,
                stdin=asyncio.subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip
        reader, writer = await asyncio.open_connection(sock=ours)
        child = cls(process, reader, writer)
        try:
            writer.write(pack(Start(module, *log_format.installed)))
            async with asyncio.timeout(START_SECONDS):
                unpack(Ready, await child._hear())
        except BaseException as error:
            await asyncio.shield(asyncio.ensure_future(child.kill()))
            if isinstance(error, TimeoutError):
                raise TimeoutError(f"the process has not imported {module} in {START_SECONDS:g} s") from error
            raise
        return child

    async def ask(self, request: Request, told: Hear) -> Answer:
        """Run one attempt; ``told`` hears what its handler tells.

        Raises:
            ProcessEnded: the process ended meanwhile, by a signal or by itself.
        """
        self._writer.write(pack(request))
        while (answer := await self._answer(told)).outcome.id != request.job.id:
            log.error("an answer that nobody asked for is dropped", extra={"job": answer.outcome.id})
        return answer

    async def _answer(self, told: Hear) -> Answer:
        while True:
            message = heard(await self._hear())
            if isinstance(message, Answer):
                return message
            told(message)

    async def last_words(self, told: Hear) -> None:
        """Hear what the handler tells while it is ended."""
        with contextlib.suppress(verdict.ProcessEnded, ValueError):  # a message may be cut off
            await self._answer(told)

    async def _hear(self) -> bytes:
        try:
            size = int.from_bytes(await self._reader.readexactly(PREFIX_BYTES), "big")
            return await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError) as error:
            self._writer.close()
            raise verdict.ProcessEnded(_how(await self._end())) from error

    async def _end(self) -> int:
        """It hung up, so it is at its end; what is left of it is killed."""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self.process.wait(), KILL_GRACE_SECONDS)
        self._signal(signal.SIGKILL)
        return await self.process.wait()

    async def kill(self) -> None:
        """End it and all that it started: SIGTERM, and SIGKILL if it takes longer than :data:`KILL_GRACE_SECONDS`."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILL_GRACE_SECONDS):
                await self.process.wait()
                while self._signal(STILL_THERE):  # noqa: ASYNC110 - nobody says when a child of a child ends
                    await asyncio.sleep(LOOK_SECONDS)
        self._signal(signal.SIGKILL)
        await self.process.wait()
        self._writer.close()

    async def dismiss(self) -> None:
        """Let an idle process clear up what lived as long as it, and end."""
        self._writer.close()
        try:
            await asyncio.wait_for(self.process.wait(), KILL_GRACE_SECONDS)
        except TimeoutError:
            await self.kill()

    def _signal(self, number: int) -> bool:
        """Send a signal to it and all that it started; whether any of them was there."""
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


class Processes:
    """The processes of one worker.

    Attributes:
        memory_mb: a process that took more than this when it ended a job is replaced; 0: there is no limit.
    """

    def __init__(self, memory_mb: int = 0) -> None:
        self.memory_mb = memory_mb
        self._idle: list[Child] = []
        self._parting: set[asyncio.Task[None]] = set()

    async def take(self, module: str) -> Child:
        """A process to run a job of ``module`` in. Errors as of :meth:`Child.start`."""
        while self._idle:
            child = self._idle.pop()
            if child.process.returncode is None:
                return child
        return await Child.start(module)

    async def run(self, child: Child, handler: Handler, job: ClaimedJob, told: Hear) -> object:
        """The handler's result; ``told`` hears what it tells. A cancel ends the process before it ends this call.

        Raises:
            Decided: the handler failed.
            ProcessEnded: the process did.
        """
        function = handler.function
        try:
            answer = await child.ask(Request(function.__module__, function.__qualname__, job), told)
        except asyncio.CancelledError:
            await self.part(_ended(child, told))
            raise
        if self.memory_mb and answer.memory_mb > self.memory_mb:
            log.info("a process took too much memory and is replaced", extra={"memory_mb": answer.memory_mb})
            self.part(child.dismiss())
        else:
            self._idle.append(child)
        if answer.outcome.verdict == "complete":
            return codec.unpack_result(answer.outcome.data)
        raise verdict.Decided(answer.outcome, answer.kind, answer.message)

    def give_back(self, child: Child) -> None:
        """A process that was taken and has run nothing."""
        self._idle.append(child)

    def part(self, ending: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
        """See a process off, whatever becomes of the caller."""
        task = asyncio.ensure_future(ending)
        self._parting.add(task)
        task.add_done_callback(self._parting.discard)
        return asyncio.shield(task)

    async def close(self) -> None:
        """End all processes that do not run a job, and wait for those that are being ended. May be called twice."""
        idle, self._idle = self._idle, []
        for child in idle:
            self.part(child.dismiss())
        if self._parting:
            await asyncio.wait(self._parting)


async def _ended(child: Child, told: Hear) -> None:
    await asyncio.gather(child.kill(), child.last_words(told))


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
