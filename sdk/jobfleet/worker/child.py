"""The process in which handlers with ``run_in="process"`` run, one job at a time.

It ends with its worker, however that ends: the kernel kills it where it can be asked to (Linux), and the broken
connection is seen besides by a thread that only watches.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import importlib
import os
import signal
import socket
import sys
import threading
import traceback
from contextlib import AsyncExitStack, suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, NoReturn

from jobfleet import codec, log_format
from jobfleet.context import JobContext, enter
from jobfleet.dependencies import Need
from jobfleet.errors import ConfigurationError
from jobfleet.handlers import Handler
from jobfleet.job import Body
from jobfleet.policy import PLAIN
from jobfleet.worker import verdict
from jobfleet.worker.injection import Injector, in_place, on_loop
from jobfleet.worker.memory import resident_mb
from jobfleet.worker.relay import Relay
from jobfleet.worker.wire import PREFIX_BYTES, Answer, Ready, Request, Start, Word, pack, unpack

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(descriptor: int, parent: int) -> None:
    """Serve the worker at the other end of the socket ``descriptor``, process ``parent``."""
    _die_with(parent)
    code = 1
    try:
        Child(socket.socket(fileno=descriptor)).serve()
        code = 0
    except Exception:  # noqa: BLE001 - it is told, and the process ends
        traceback.print_exc()
    finally:
        _flush()
        os._exit(code)  # a handler's own threads do not hold it up


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could be asked
        os._exit(1)


def _flush() -> None:
    """Let go what was printed: the process may be killed before its buffers are full."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the handler closed it, or nobody reads it any more
            stream.flush()


class Child:
    """One process' life."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._process = os.getpid()
        self._inbox: SimpleQueue[bytes | None] = SimpleQueue()
        self._received = 0
        self._answered = 0
        self._sending = threading.Lock()
        self._relay = Relay(lambda told: self._send(Word(*told)))
        self._runner: asyncio.Runner | None = None
        self._injector: Injector | None = None
        self._ending = False

    def serve(self) -> None:
        """Run jobs until the worker hangs up."""
        signal.signal(signal.SIGTERM, self._terminated)
        self._connection.set_inheritable(False)
        os.register_at_fork(after_in_child=self._hang_up)
        threading.Thread(target=self._listen, name="jobfleet-wire", daemon=True).start()
        first = self._inbox.get()
        if first is None:
            return
        start = unpack(Start, first)
        if start.log_level:
            log_format.install(start.log_format, start.log_level)  # type: ignore[arg-type]  # as the worker's own
        with suppress(Exception):  # the first job tells it, as its failure
            importlib.import_module(start.module)
        self._send(Ready(os.getpid()))
        self._answered += 1
        while not self._ending and (data := self._inbox.get()) is not None:
            answer = self._answer(unpack(Request, data))
            if os.getpid() != self._process:
                os._exit(0)  # a handler has forked and returned twice: only the first process answers
            self._relay.end()
            _flush()
            self._send(answer)
            self._answered += 1
        if self._runner is not None and self._injector is not None:
            self._runner.run(self._injector.close())

    def _terminated(self, *_: object) -> NoReturn:
        """Let the handler's ``finally`` and ``with`` run, and end; who takes too long is killed."""
        self._ending = True
        raise SystemExit(128 + signal.SIGTERM)

    def _hang_up(self) -> None:
        """A process that a handler forked neither speaks for this one, nor hides from the worker that it has ended."""
        os.close(self._connection.detach())

    def _send(self, message: Ready | Word | Answer) -> None:
        with self._sending:
            self._connection.sendall(pack(message))

    def _listen(self) -> None:
        stream = self._connection.makefile("rb")
        while True:
            prefix = stream.read(PREFIX_BYTES)
            if len(prefix) < PREFIX_BYTES:
                break
            data = stream.read(int.from_bytes(prefix, "big"))
            self._received += 1
            self._inbox.put(data)
        if self._received > self._answered:
            os.killpg(0, signal.SIGKILL)  # the worker is gone; so is everything that the handler started
        self._inbox.put(None)

    def _answer(self, request: Request) -> Answer:
        job = request.job
        body: Body | None = None
        handler: Handler | None = None
        try:
            body = codec.unpack_body(job.body)
            handler = _find(request.module, request.name)
            kwargs = handler.arguments.unpack(body.args)
            enter(JobContext(job, body, self._relay))
            outcome = verdict.completed(job, self._run(handler, kwargs))
        except BaseException as error:  # noqa: BLE001 - the job's failure
            policy, home = (handler.policy, handler.home) if handler else (PLAIN, "")
            outcome = verdict.failed(job, body, error, policy, home)
            return Answer(outcome, verdict.kind_of(error), verdict.text_of(error), resident_mb())
        return Answer(outcome, "", "", resident_mb())

    def _run(self, handler: Handler, kwargs: dict[str, Any]) -> Any:
        if handler.is_async:
            return self._on_loop(handler, kwargs)
        if any(_on_loop(need) for need in handler.needs.values()):
            return self._beside_loop(handler, kwargs)
        return in_place(handler.needs, {}, partial(handler.function, **kwargs))

    def _on_loop(self, handler: Handler, kwargs: dict[str, Any]) -> Any:
        running: asyncio.Task[Any] | None = None

        async def call() -> Any:
            nonlocal running
            running = asyncio.current_task()
            return await self._injection().on_loop(handler.needs, partial(on_loop, handler, kwargs))

        try:
            return self._loop().run(call(), context=contextvars.copy_context())
        except SystemExit:
            if running is not None and not running.done():  # SIGTERM struck the loop, not the handler that waits there
                self._loop().run(_cancelled(running))
            raise

    def _beside_loop(self, handler: Handler, kwargs: dict[str, Any]) -> Any:
        """A plain function whose dependencies need a loop: they are made and cleared up on it, the function is not."""
        loop = self._loop()
        stack = AsyncExitStack()

        async def make() -> dict[str, Any]:
            return await self._injection().open(handler.needs, stack)

        async def clear(error: BaseException | None) -> None:
            await stack.__aexit__(type(error) if error else None, error, error.__traceback__ if error else None)

        try:
            result = handler.function(**kwargs, **loop.run(make(), context=contextvars.copy_context()))
        except BaseException as error:
            loop.run(clear(error))
            raise
        loop.run(clear(None))
        return result

    def _loop(self) -> asyncio.Runner:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner

    def _injection(self) -> Injector:
        if self._injector is None:
            self._injector = Injector()
        return self._injector


def _on_loop(need: Need) -> bool:
    return need.waits or need.lifetime == "worker" or any(_on_loop(inner) for inner in need.needs.values())


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})


def _find(module: str, name: str) -> Handler:
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    handler = getattr(found, "handler", None)
    if not isinstance(handler, Handler):
        raise ConfigurationError(
            f"{module}:{name} is not a job there, but {found!r:.80}; declare it with the decorator @fleet.job(...)"
        )
    return handler
