"""One call to an API server: what is made of answers that are none, of a new token, and of being asked to wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from jobfleet_operator.adapters.wire import KubeError, Refused, Unavailable, Wire

Handler = Callable[[web.Request], web.Response]


class Server:
    """Answers as `answer` says and notes the tokens that it was shown."""

    answer: Handler = staticmethod(lambda _: web.json_response({}))
    tokens: list[str]


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("old")
    return file


@pytest.fixture
async def server(tmp_path: Path, token: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """A server that the kubeconfig leads to."""
    played = Server()
    played.tokens = []

    async def handle(request: web.Request) -> web.Response:
        played.tokens.append(request.headers["Authorization"])
        return played.answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    config = {
        "clusters": [{"name": "it", "cluster": {"server": f"http://{host}:{port}"}}],
        "users": [{"name": "it", "user": {"tokenFile": str(token)}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
    yield played
    await runner.cleanup()


@pytest.fixture
async def wire(server: Server) -> AsyncIterator[Wire]:
    wire = Wire()
    await wire.open()
    yield wire
    await wire.close()


async def test_a_refused_token_is_read_again_and_the_call_repeated(server: Server, wire: Wire, token: Path) -> None:
    server.answer = lambda request: web.json_response({}, status=401 if "old" in str(request.headers) else 200)
    with pytest.raises(Unavailable):
        await wire.call("GET", "/a")
    await asyncio.to_thread(token.write_text, "new")
    wire._read_at = 0.0  # a second later
    assert await wire.call("GET", "/a") == {}
    assert server.tokens == ["Bearer old", "Bearer old", "Bearer new"]


@pytest.mark.parametrize("text", [b'{"items": [{"na', b"[]", b"<html>"])
async def test_an_answer_that_is_no_object_is_none(text: bytes, server: Server, wire: Wire) -> None:
    server.answer = lambda _: web.Response(body=text)
    with pytest.raises(Unavailable, match="no object"):
        await wire.call("GET", "/a")


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("failed to create typed patch object (shop/photos; apps/v1): .comand: field not declared in schema", Refused),
        ("failed to convert new object (shop/photos; apps/v1) to proper version: quantities must match", Refused),
        ("etcdserver: request timed out", Unavailable),
    ],
)
async def test_a_typo_is_told_from_a_server_that_fails_though_both_are_a_500(
    message: str, error: type[Exception], server: Server, wire: Wire
) -> None:
    server.answer = lambda _: web.json_response({"message": message, "code": 500}, status=500)
    with pytest.raises(KubeError) as told:
        await wire.call("PATCH", "/a", body={})
    assert (type(told.value), str(told.value)) == (error, message)


async def test_after_being_asked_to_wait_other_writes_are_not_sent_and_reads_are(server: Server, wire: Wire) -> None:
    server.answer = lambda _: web.json_response({}, status=429, headers={"Retry-After": "7"})
    with pytest.raises(Unavailable) as asked:
        await wire.call("PATCH", "/a", body={})
    assert asked.value.wait_seconds == 7
    server.answer = lambda _: web.json_response({})
    for path in ("/b", "/c"):
        with pytest.raises(Unavailable, match="was not sent"):
            await wire.call("PATCH", path, body={})
    assert await wire.call("GET", "/a") == {}
    assert len(server.tokens) == 2
