"""A gate between an operator and the API server, which lets everything through and kills the operator at a write."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from api.stage import Process

HOP_BY_HOP = {"connection", "content-length", "content-encoding", "host", "transfer-encoding", "accept-encoding"}


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
        headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP_BY_HOP}
        async with session.request(
            request.method, f"{server}{request.raw_path}", data=body or None, headers=headers
        ) as answer:
            if write:
                self.passed.append(f"{request.method} {request.path}")
            if dies:
                self._kill()
                raise web.HTTPServiceUnavailable
            kept = {key: value for key, value in answer.headers.items() if key.lower() not in HOP_BY_HOP}
            out = web.StreamResponse(status=answer.status, headers=kept)
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await out.prepare(request)
                async for part in answer.content.iter_any():
                    await out.write(part)
                await out.write_eof()
            return out


@asynccontextmanager
async def gate(api_server: Path, folder: Path) -> AsyncIterator[Gate]:
    """A gate on a port of its own; operators go through it by its `kubeconfig`."""
    said = yaml.safe_load(await asyncio.to_thread(api_server.read_text))
    cluster, user = said["clusters"][0]["cluster"], said["users"][0]["user"]
    trust = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
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
            "users": [{"name": "nobody", "user": {"token": "none"}}],
            "contexts": [{"name": "gate", "context": {"cluster": "gate", "user": "nobody"}}],
            "current-context": "gate",
        }
        built.kubeconfig.write_text(yaml.safe_dump(way))
        try:
            yield built
        finally:
            await runner.cleanup()
