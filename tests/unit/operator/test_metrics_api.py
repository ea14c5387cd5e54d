"""Whom the server of external metrics answers, as the ConfigMap of the API server says at this moment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from cluster_tool import ports
from fixtures.certificates import Authority, Pair
from jobfleet.inspection import QueueAddress, QueueSnapshot
from jobfleet_operator import metrics_api
from jobfleet_operator.adapters.kube import Kube
from jobfleet_operator.adapters.redis import Redises
from jobfleet_operator.addresses import RedisUrls
from jobfleet_operator.cache import Cache, Kind
from jobfleet_operator.metrics_api import MetricsApi
from jobfleet_operator.world import Key, Manifest, QueueResource
from unit.operator.people import PHOTOS, meta, snapshot

API = "apis/external.metrics.k8s.io/v1beta1"
NAME = "front-proxy-client"


class Server:
    """An API server that has that ConfigMap, and a Redis in which one queue cannot be read."""

    def __init__(self, authority: Authority, names: str = json.dumps([NAME])) -> None:
        self.authority, self.names, self.asked = authority.pem, names, 0

    async def get(self, *_: object) -> Manifest:
        self.asked += 1
        data = {"requestheader-client-ca-file": self.authority, "requestheader-allowed-names": self.names}
        return {"data": data}

    def resolve(self, _: QueueResource) -> tuple[str, str]:
        return "redis://r/0", ""

    async def read(self, _: str, wanted: Mapping[QueueAddress, int]) -> dict[QueueAddress, QueueSnapshot]:
        return {place: snapshot(waiting=3) for place in wanted if place == PHOTOS}

    def why(self, _: str, address: QueueAddress) -> str:
        return f"WRONGTYPE in {address.queue}"


@contextlib.asynccontextmanager
async def served(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Runs the server that is tested; yields its URL."""
    monkeypatch.setattr(metrics_api, "REFRESH_SECONDS", 0.01)
    monkeypatch.setattr(metrics_api, "RETRY_SECONDS", 0.01)
    write(folder / "tls", Authority("the server's own").issue("localhost"))
    (port,) = ports.free_ports(1)
    cache = Cache(lambda *_: None)
    for name in ("photos", "bad"):
        cache.feed(Kind.QUEUES, {"metadata": meta(name), "spec": {}})
    kube, urls, redises = cast("Kube", server), cast("RedisUrls", server), cast("Redises", server)
    running = asyncio.ensure_future(MetricsApi(port, folder, kube, cache, urls, redises).run())
    yield f"https://localhost:{port}/{API}"
    assert not running.done()
    running.cancel()
    await asyncio.wait([running])


def write(stem: Path, pair: Pair) -> None:
    stem.with_suffix(".crt").write_text(pair.certificate)
    stem.with_suffix(".key").write_text(pair.key)


async def ask(url: str, client: Pair, folder: Path) -> tuple[int, str]:
    """Status and body; 0 for whom no answer is given."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    write(folder / "client", client)
    tls.load_cert_chain(folder / "client.crt", folder / "client.key")
    try:
        async with aiohttp.ClientSession() as session, session.get(url, ssl=tls) as answer:
            return answer.status, await answer.text()
    except (aiohttp.ClientError, OSError):
        return 0, ""


async def is_read(server: Server) -> None:
    """What the ConfigMap says now has been read, and what follows from it was done."""
    asked = server.asked
    async with asyncio.timeout(20):
        while server.asked < asked + 2:
            await asyncio.sleep(0.01)


async def is_answered(url: str, client: Pair, folder: Path) -> None:
    async with asyncio.timeout(20):
        while (await ask(url, client, folder))[0] != 200:
            await asyncio.sleep(0.01)


async def test_an_authority_that_was_replaced_is_not_trusted_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = Authority("old"), Authority("new")
    server, before, after = Server(old), old.issue(NAME), new.issue(NAME)
    async with served(server, tmp_path, monkeypatch) as url:
        await is_answered(url, before, tmp_path)
        assert (await ask(url, after, tmp_path))[0] == 0
        assert (await ask(url, old.issue("somebody"), tmp_path))[0] == 403
        server.authority = "no certificate"
        await is_read(server)
        assert (await ask(url, before, tmp_path))[0] == 200, "one that cannot be read ends nothing"
        server.authority = new.pem
        await is_answered(url, after, tmp_path)
        assert (await ask(url, before, tmp_path))[0] == 0


async def test_names_that_are_no_list_end_nothing_and_none_means_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority()
    server, client = Server(authority, '{"a": 1}'), authority.issue("somebody")
    async with served(server, tmp_path, monkeypatch) as url:
        await is_read(server)
        assert "should be a list of names" in caplog.text
        assert (await ask(url, client, tmp_path))[0] == 0
        server.names = "null"
        await is_answered(url, client, tmp_path)
        server.names = "[7]"
        await is_read(server)
        assert (await ask(url, client, tmp_path))[0] == 200


async def test_a_certificate_that_is_not_there_is_named_and_taken_when_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority()
    server = Server(authority)
    async with served(server, tmp_path, monkeypatch) as url:
        (own := tmp_path / "tls.crt").rename(tmp_path / "elsewhere")
        await is_read(server)
        assert f"external metrics are not served: [Errno 2] No such file or directory: '{own}'" in caplog.text
        (tmp_path / "elsewhere").rename(own)
        await is_answered(url, authority.issue(NAME), tmp_path)


async def test_a_queue_that_cannot_be_read_is_told_by_its_own_words_and_the_others_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority()
    client = authority.issue(NAME)
    async with served(Server(authority), tmp_path, monkeypatch) as url:
        await is_answered(url, client, tmp_path)
        backlog = f"{url}/namespaces/shop/jobfleet_queue_backlog"
        status, body = await ask(f"{backlog}?labelSelector=queue%3Dphotos", client, tmp_path)
        assert (status, json.loads(body)["items"][0]["value"]) == (200, "3")
        status, body = await ask(backlog, client, tmp_path)
        assert status == 503
        assert f"JobQueue {Key('shop', 'bad')} cannot be read now: WRONGTYPE in bad" in body
