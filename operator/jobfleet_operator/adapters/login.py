"""A session for the watches, which sees to its own token: kopf, which ends over a 401, never meets one."""

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus

import aiohttp

from jobfleet_operator.adapters import credentials

LOOK_SECONDS = 1.0
"""How often refused credentials are read again."""
AGAIN_SECONDS = 15.0
"""Credentials that stay the same are tried again this late: perhaps they are good by now."""

FORBIDDEN = f"HTTP status {HTTPStatus.FORBIDDEN.value}"
"""How a failure for want of a right is told."""

Met = Callable[[str, bool, str], None]
"""Called with the path that was listed or watched, whether it was a watch, and "" or the sentence of a failure."""


class Login:
    """Who watches; for one event loop. `met` is told how requests go."""

    def __init__(self, met: Met) -> None:
        self._met = met
        self._token = ""

    async def session(self) -> tuple[str, aiohttp.ClientSession]:
        """The URL of the API server, and a session to be closed by the caller. Waits until there are credentials."""
        while True:
            try:
                found = await credentials.read()
            except credentials.CredentialsError:
                await asyncio.sleep(LOOK_SECONDS)  # who writes says it when that lasts
            else:
                self._token = credentials.token(found)
                return str(found.host), credentials.session(found, self._send)

    async def _send(self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """Send a request with the token of the moment, again and again while it is refused."""
        while True:
            token = self._token
            if token:
                request.headers["Authorization"] = token
            try:
                response = await send(request)
            except (Exception, asyncio.CancelledError) as error:
                self._tell(request, f"no answer: {error or type(error).__name__}")
                raise
            self._tell(request, "" if response.status == HTTPStatus.OK else f"HTTP status {response.status}")
            if response.status != HTTPStatus.UNAUTHORIZED:
                return response
            response.release()
            await self._other_token(token)

    async def _other_token(self, refused: str) -> None:
        """Wait until there is a token beside the refused one, or until that may be tried again."""
        until = time.monotonic() + AGAIN_SECONDS
        while self._token == refused and time.monotonic() < until:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self._token = credentials.token(await credentials.read())
            except credentials.CredentialsError:
                continue  # it is being replaced

    def _tell(self, request: aiohttp.ClientRequest, sentence: str) -> None:
        asked = request.url.query
        if "watch" in asked or "limit" in asked:  # what else is asked is not about the objects
            self._met(request.url.path, "watch" in asked, sentence)
