"""The benchmark's own way to the API server, as an administrator who is never made to wait."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml

from bench.children import Broken

Manifest = dict[str, Any]
AT_ONCE = 16
ESTABLISHED_LOOKS = 600


class Api:
    """Use with ``async with``."""

    def __init__(self, kubeconfig: Path) -> None:
        said = yaml.safe_load(kubeconfig.read_text())
        cluster, user = said["clusters"][0]["cluster"], said["users"][0]["user"]
        self._url = cluster["server"]
        self._ssl = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as pair:
            pair.write(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
            pair.flush()
            self._ssl.load_cert_chain(pair.name)

    async def __aenter__(self) -> Self:
        limit = aiohttp.ClientTimeout(total=60)
        self._session = aiohttp.ClientSession(
            self._url, timeout=limit, connector=aiohttp.TCPConnector(ssl=self._ssl, limit=AT_ONCE)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, body: Manifest | None = None, content: str = "json") -> Manifest:
        """One request. Raises Broken when it is refused."""
        headers = {"Content-Type": f"application/{content}"}
        data = None if body is None else json.dumps(body)
        async with self._session.request(method, path, data=data, headers=headers) as answer:
            text = await answer.text()
            if answer.status >= 400:
                raise Broken(f"{method} {path}: {answer.status}: {text[:300]}")
            found: Manifest = json.loads(text)
            return found

    async def create(self, bodies: Iterable[tuple[str, Manifest]]) -> None:
        """Create objects, given with the path of their collection; many at a time, in any order."""
        left = iter(list(bodies))

        async def work() -> None:
            for path, body in left:
                await self.call("POST", path, body)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))

    async def teach(self, crds: Sequence[Manifest]) -> None:
        """Create CRDs, and wait until they are served."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        await self.create((path, body) for body in crds)
        left = [f"{path}/{body['metadata']['name']}" for body in crds]
        for _ in range(ESTABLISHED_LOOKS):
            left = [one for one in left if not await self._established(one)]
            if not left:
                return
            await asyncio.sleep(0.05)
        raise Broken(f"not served after {ESTABLISHED_LOOKS * 0.05:.0f} s: {', '.join(left)}")

    async def _established(self, path: str) -> bool:
        conditions = ((await self.call("GET", path)).get("status") or {}).get("conditions") or []
        return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)

    async def set_replicas(self, namespace: str, name: str, replicas: int) -> None:
        """The call by which the operator scales."""
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}?fieldManager=bench"
        await self.call("PATCH", path, {"spec": {"replicas": replicas}}, "merge-patch+json")


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
