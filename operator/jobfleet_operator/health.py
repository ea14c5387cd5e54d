"""`/livez` and `/readyz`: alive means that the loop came round lately, not that the process answers."""

import asyncio
import logging
from collections.abc import Callable

log = logging.getLogger(__name__)

REQUEST_SECONDS = 5.0
Check = Callable[[], str]
"""Returns "" when all is well, else what is not."""


class HealthServer:
    """A very small HTTP server for probes. Stopping it twice does no harm."""

    def __init__(self, port: int, checks: dict[str, Check]) -> None:
        """`checks` are by path, such as `/livez`."""
        self._port, self._checks = port, checks
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on all addresses. Raises OSError when the port is taken."""
        self._server = await asyncio.start_server(self._serve, port=self._port)

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("a probe was cut off: %s", error)
        finally:
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        words = head.split(maxsplit=2)
        path = words[1].decode("ascii", errors="replace").partition("?")[0] if len(words) > 1 else ""
        check = self._checks.get(path)
        if check is None:
            return _response("404 Not Found", "there are only " + " and ".join(self._checks))
        trouble = check()
        return _response("503 Service Unavailable", trouble) if trouble else _response("200 OK", "ok")


def _response(status: str, text: str) -> bytes:
    body = f"{text}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
