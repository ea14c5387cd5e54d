"""One call to the API server: within a time-out, at a pace, as somebody who may have a new token by now.

Foreign errors are translated:

    KubeError               the API server did not do it
    ├── Unavailable         no answer, overloaded, or failing: later it may
    ├── Conflict            the object is not as it was seen: look again
    ├── NotFound            there is no such object
    └── Refused             it never will: not allowed or not valid
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
from kubernetes.aio import client

from jobfleet_operator.adapters import credentials
from jobfleet_operator.adapters.pace import Pace, Urgency
from jobfleet_operator.adapters.reach import Reach
from jobfleet_operator.world import Manifest

CALL_SECONDS = 5.0
"""Time-out of one call: a write begun in the last moment of a term ends before the next term can begin."""
REREAD_SECONDS = 1.0
"""Refused credentials are read anew this often at most."""
LONGEST_WAIT_SECONDS = 60.0
"""A server that asks to wait for longer is asked again after this."""


class KubeError(Exception):
    """The API server did not do what was asked; the message is its sentence."""

    wait_seconds: float = 0.0
    """How long the server asked to wait before the same is tried again."""


class Unavailable(KubeError):
    """No answer, or the server is overloaded or failing."""


class Conflict(KubeError):
    """The object is not as it was seen."""


class NotFound(KubeError):
    """There is no such object."""


class Refused(KubeError):
    """Not allowed or not valid: asking again does not help."""


class Forbidden(Refused):
    """Without the right to do so, or to know whether it is there."""


class Invalid(Refused):
    """Not valid, or not what a JSON patch tests for."""


_KINDS: dict[int, type[KubeError]] = {
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
    HTTPStatus.UNAUTHORIZED: Unavailable,  # the token is being renewed
    HTTPStatus.TOO_MANY_REQUESTS: Unavailable,
    HTTPStatus.REQUEST_TIMEOUT: Unavailable,
    HTTPStatus.GONE: Unavailable,  # the rest of a list that took too long: it is read anew
}
UNTYPED = ("failed to create typed patch object", "failed to convert new object")
"""How a server begins when what was applied has an unknown field or a value of a wrong type. It says so with status
500, as if it had failed itself; but asking again does not help."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever it says."""

    status: int
    wait_seconds: float
    """How long the server asks to wait; 0: it does not ask."""
    text: bytes


class Wire:
    """A connection to one API server. Open it before use; closing it twice does no harm."""

    def __init__(
        self,
        allowed: Callable[[], bool] = lambda: True,
        pace: Pace | None = None,
        reach: Reach | None = None,
        name: str = "",
    ) -> None:
        """Before each write, when its turn has come, `allowed` is asked whether this replica acts.

        `reach` is told how calls end, under this connection's `name`.
        """
        self._allowed, self._pace = allowed, pace or Pace()
        self._reach, self._name = reach or Reach(), f"{name} " if name else ""
        self._client: client.ApiClient | None = None
        self._read_at = 0.0

    async def open(self) -> None:
        """Find the API server: in a Pod by its service account, else by the kubeconfig. Raises Unavailable."""
        try:
            self._client = client.ApiClient(configuration=await credentials.read())
        except credentials.CredentialsError as error:
            raise Unavailable(str(error)) from error

    async def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            await self._client.close()  # type: ignore[no-untyped-call]
            self._client = None

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | list[Manifest] | None = None,
        content_type: str = "application/json",
        urgency: Urgency = Urgency.UPKEEP,
    ) -> Manifest:
        """One request within the time-out and the rate limit; once more where there is a new token after a 401.

        Raises:
            KubeError: see the tree in the module's docstring.
        """
        api, write = self._client, method != "GET"
        if api is None:
            msg = "the connection to Kubernetes is not open"
            raise Unavailable(msg)
        async with self._pace.turn(urgency):
            if write and not self._allowed():
                msg = f"{method} {path} was not sent: another replica of the operator acts"
                raise Unavailable(msg)
            if write and not self._pace.lets_through():
                msg = f"{method} {path} was not sent: Kubernetes asks to wait"
                raise Unavailable(msg)
            what = f"{self._name}{'writes' if write else 'reads'}"
            try:
                token = credentials.token(api.configuration)
                answer = await self._exchange(api, method, path, query, body, content_type)
                if answer.status == HTTPStatus.UNAUTHORIZED and await self._has_other_token(api, token):
                    answer = await self._exchange(api, method, path, query, body, content_type)
                if write:
                    self._pace.told(to_wait=answer.wait_seconds > 0)
                said = _read(method, path, answer)
            except Unavailable as error:
                self._reach.note(what, str(error))
                raise
            except KubeError:
                self._reach.note(what)
                raise
        self._reach.note(what)
        return said

    async def _has_other_token(self, api: client.ApiClient, refused: str) -> bool:
        """Read the credentials anew; returns whether there is a token beside the refused one."""
        ours, now = api.configuration, time.monotonic()
        if credentials.token(ours) == refused and now - self._read_at >= REREAD_SECONDS:
            self._read_at = now
            try:
                fresh = await credentials.read()
            except credentials.CredentialsError as error:
                raise Unavailable(str(error)) from error
            ours.api_key, ours.refresh_api_key_hook = fresh.api_key, fresh.refresh_api_key_hook
        return credentials.token(ours) != refused

    async def _exchange(
        self,
        api: client.ApiClient,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Manifest | list[Manifest] | None,
        content_type: str,
    ) -> Answer:
        try:
            request = await api.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            limit = aiohttp.ClientTimeout(total=CALL_SECONDS)
            response = await api.call_api(*request, _request_timeout=limit)
            text = await response.read()  # type: ignore[no-untyped-call]
            return Answer(response.status, wait_seconds(response.status, response.headers), text)
        except (aiohttp.ClientError, TimeoutError, OSError, client.ApiException) as error:
            msg = f"Kubernetes does not answer {method} {path}: {error or type(error).__name__}"
            raise Unavailable(msg) from error


def wait_seconds(status: int, headers: Mapping[str, str]) -> float:
    """How long an answer asks to wait; 0 when it does not.

    >>> wait_seconds(429, {"Retry-After": "7"}), wait_seconds(429, {}), wait_seconds(503, {})
    (7.0, 1.0, 0.0)
    """
    said = headers.get("Retry-After")
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.SERVICE_UNAVAILABLE and said):
        return min(float(said), LONGEST_WAIT_SECONDS) if said and said.isdigit() else 1.0
    return 0.0


def _read(method: str, path: str, answer: Answer) -> Manifest:
    """The object that an answer holds. Raises KubeError."""
    try:
        said: Any = json.loads(answer.text)
    except ValueError:
        said = answer.text.decode(errors="replace")[:500]
    if answer.status < HTTPStatus.BAD_REQUEST:
        if isinstance(said, dict):
            return said
        msg = f"Kubernetes answers {method} {path} with something that is no object, or half of one"
        raise Unavailable(msg)
    message = str(said.get("message", said) if isinstance(said, dict) else said)
    failing = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not message.startswith(UNTYPED)
    fallback = Unavailable if failing else Refused
    error = _KINDS.get(answer.status, fallback)(message or f"{method} {path}: HTTP status {answer.status}")
    error.wait_seconds = answer.wait_seconds
    raise error
