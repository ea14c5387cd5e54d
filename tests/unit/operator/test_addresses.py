"""Where queues live: what Secrets and the operator's own file say, and what they must not give away."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from pathlib import Path
from typing import Any, cast

import pytest

from jobfleet_operator.adapters.kube import Kube
from jobfleet_operator.addresses import RETRY_SECONDS, RedisUrls
from jobfleet_operator.world import Key
from unit.operator.people import queue

URL, OTHER = "redis://:one@redis.shop:6379/0", "redis://:two@redis.shop:6379/0"


class Secrets:
    """One Secret, whatever it is asked for."""

    def __init__(self, value: str) -> None:
        self.value = value

    async def get(self, group_version: str, key: Key, plural: str) -> dict[str, Any]:
        return {"data": {"url": b64encode(self.value.encode()).decode()}}


async def resolved(urls: RedisUrls, reference: dict[str, Any]) -> tuple[str | None, str]:
    """What is known once the Secret has been read."""
    mine = queue(redis={"urlSecretRef": reference})
    assert urls.resolve(mine) == (None, "")
    async with asyncio.timeout(5):
        while urls.resolve(mine) == (None, ""):
            await asyncio.sleep(0)
    return urls.resolve(mine)


@pytest.mark.parametrize(
    "value",
    ["hunter2", "redis:hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2", "eyJh.hunter2", "redis://:hunter2/x@redis"],
)
async def test_what_is_no_url_is_neither_passed_on_nor_shown(value: str) -> None:
    urls = RedisUrls(cast("Kube", Secrets(value)), "", lambda _: None)
    url, problem = await resolved(urls, {"name": "mine", "key": "url"})
    assert url is None, "it would be written into the Secret of the queue"
    assert problem.startswith("the Secret mine holds no Redis URL under url: ")
    assert "hunter2" not in problem


async def test_a_url_is_known_once_it_was_read() -> None:
    urls = RedisUrls(cast("Kube", Secrets(URL)), "", lambda _: None)
    assert await resolved(urls, {"name": "mine"}) == (URL, "")


def test_the_operators_own_url_may_be_changed_while_it_runs(tmp_path: Path) -> None:
    now = 0.0
    file = tmp_path / "url"
    file.write_text(f"{URL}\n")
    urls = RedisUrls(Kube(), "", lambda _: None, clock=lambda: now, own_file=file)
    assert urls.resolve(queue()) == (URL, "")
    file.write_text(OTHER)
    assert urls.resolve(queue()) == (URL, ""), "it is not read for each queue and round"
    now += RETRY_SECONDS
    assert urls.recognise(lambda url: url == OTHER) == OTHER, "also where no JobQueue asks any more"
    assert urls.resolve(queue()) == (OTHER, "")
    file.unlink()
    now += RETRY_SECONDS
    assert urls.resolve(queue()) == (OTHER, ""), "it is being replaced"
    file.write_text("hunter2")
    now += RETRY_SECONDS
    url, problem = urls.resolve(queue())
    assert url is None
    assert problem.startswith("the operator's own Redis cannot be used: ")
    assert "hunter2" not in problem
