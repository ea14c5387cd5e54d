"""A gate between an operator and the API server: it lets everything through, unless a test has something in mind.

It may kill the operator at a write, answer in the API server's place, and hold, change or cut what comes back.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from api.stage import Process

HOP_BY_HOP = {"connection", "content-length", "content-encoding", "host", "transfer-encoding", "accept-encoding"}


Instead = Callable[[web.Request], "web.Response | None"]
"""An answer in the API server's place; None: it is asked."""
OnTheWay = Callable[[web.Request, bytes], Awaitable[bytes]]
"""What becomes of a part of an answer, and when."""


def is_watch(request: web.Request) -> bool:
    return "watch" in request.query


def is_write(request: web.Request) -> bool:
    return request.method != "GET"


def refusal(status: int, **headers: str) -> web.Response:
    """An answer as the API server gives it when it does not do what it was asked."""
    told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "message": f"a test's {status}"}
    return web.json_response(told, status=status, headers=headers)


@dataclass
class Gate:
    """Open it with `gate`; `victim` is killed at its write number `fatal`. Events, which only tell, do not count.

    `before`: the API server never sees that write; else it does, and the operator dies before the answer.
    """

    kubeconfig: Path
    victim: Process | None = None
    fatal: int = 0
    before: bool = False
    passed: list[str] = field(default_factory=list)
    """The writes of the present victim that reached the API server."""
    met: int = 0
    instead: Instead | None = None
    on_the_way: OnTheWay | None = None
    asked: list[tuple[float, str, str, int]] = field(default_factory=list)
    """All that was answered: when (on the loop's clock), by which method, for which path and query, HTTP status."""
    short_pages: bool = False
    """Whether each page of a list holds one object."""
    met_instead: list[str] = field(default_factory=list)
    """Paths that the API server was not asked for."""
    _streams: dict[int, asyncio.Transport] = field(default_factory=dict)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def count(self, status: int, *, method: str = "", path: str = "", since: float = 0.0) -> int:
        """How often that was answered since then."""
        return sum(
            said == status and verb.startswith(method) and path in where and at >= since
            for at, verb, where, said in self.asked
        )

    def watches(self) -> set[int]:
        """The ids of the requests whose watches are open."""
        return set(self._streams)

    def cut(self) -> None:
        """Cut off every watch that is open; from any thread."""
        for transport in list(self._streams.values()):
            self._loop.call_soon_threadsafe(transport.abort)

    def expose(self, victim: Process, fatal: int, *, before: bool = False) -> None:
        """A new life: it ends at that write, counted from 1; 0: it does not."""
        self.victim, self.fatal, self.before, self.met = victim, fatal, before, 0
        self.passed.clear()

    def _kill(self) -> None:
        assert self.victim is not None
        self.victim.popen.kill()
        self.victim.popen.wait()

    async def handle(self, request: web.Request, session: aiohttp.ClientSession, server: str) -> web.StreamResponse:
        body = await request.read()
        write = request.method != "GET" and not request.path.endswith("/events")
        if write:
            self.met += 1
        dies = write and self.fatal > 0 and self.met >= self.fatal
        if dies and (self.before or self.met > self.fatal):
            self._kill()
            raise web.HTTPServiceUnavailable
        instead = self.instead(request) if self.instead else None
        if instead is not None:
            self._note(request, instead.status)
            self.met_instead.append(request.path)
            return instead
        headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP_BY_HOP}
        asked = request.raw_path.replace("limit=200", "limit=1") if self.short_pages else request.raw_path
        async with session.request(request.method, f"{server}{asked}", data=body or None, headers=headers) as answer:
            if write:
                self.passed.append(f"{request.method} {request.path}")
            if dies:
                self._kill()
                raise web.HTTPServiceUnavailable
            self._note(request, answer.status)
            kept = {key: value for key, value in answer.headers.items() if key.lower() not in HOP_BY_HOP}
            out = web.StreamResponse(status=answer.status, headers=kept)
            try:
                with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                    await out.prepare(request)
                    if is_watch(request) and request.transport is not None:
                        self._streams[id(request)] = request.transport
                    async for part in answer.content.iter_any():
                        await out.write(await self.on_the_way(request, part) if self.on_the_way else part)
                    await out.write_eof()
            finally:
                # What is left of a watch would be closed in good order, which may outlast the test and its loop.
                if answer.connection is not None and answer.connection.transport is not None:
                    answer.connection.transport.abort()
            self._streams.pop(id(request), None)
            return out

    def _note(self, request: web.Request, status: int) -> None:
        now = asyncio.get_running_loop().time()
        self.asked.append((now, request.method, request.path_qs, status))


@asynccontextmanager
async def gate(api_server: Path, folder: Path, token: Path | None = None) -> AsyncIterator[Gate]:
    """A gate on a port of its own; operators go through it by its `kubeconfig`.

    They are whom the token in that file makes them; without one they are who `api_server` is.
    """
    said = yaml.safe_load(await asyncio.to_thread(api_server.read_text))
    cluster, user = said["clusters"][0]["cluster"], said["users"][0]["user"]
    trust = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    if token is None:
        with tempfile.NamedTemporaryFile(suffix=".pem") as pair:
            pair.write(b"".join(base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key")))
            pair.flush()
            trust.load_cert_chain(pair.name)
    connector = aiohttp.TCPConnector(ssl=trust, limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:
        built = Gate(folder / "gate.kubeconfig")
        app = web.Application(client_max_size=2**24)

        async def through(request: web.Request) -> web.StreamResponse:
            return await built.handle(request, session, cluster["server"])

        app.router.add_route("*", "/{path:.*}", through)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        way = said | {
            "clusters": [{"name": "gate", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "nobody", "user": {"tokenFile": str(token)} if token else {"token": "none"}}],
            "contexts": [{"name": "gate", "context": {"cluster": "gate", "user": "nobody"}}],
            "current-context": "gate",
        }
        built.kubeconfig.write_text(yaml.safe_dump(way))
        try:
            yield built
        finally:
            await runner.cleanup()
