"""Serves `external.metrics.k8s.io` to the API server, which passes on what an HPA or `kubectl get --raw` asks.

The API server has checked who asks and whether they may (RBAC) before it comes here. That it is the API server who
comes is shown by its client certificate: it must be signed by the CA for requests on behalf of others, and bear one of
the names, that stand in the ConfigMap `kube-system/extension-apiserver-authentication`.

Every replica answers, acting or not: queues are read when they are asked for, and pools from the cache.
"""

import asyncio
import logging
import ssl
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from jobfleet.inspection import QueueSnapshot
from jobfleet_operator import external_metrics, look
from jobfleet_operator.adapters.kube import Kube, KubeError
from jobfleet_operator.adapters.redis import Redises
from jobfleet_operator.addresses import RedisUrls
from jobfleet_operator.cache import Cache
from jobfleet_operator.external_metrics import BadSelectorError, NamesError, Value
from jobfleet_operator.world import Key, Manifest, QueueResource

log = logging.getLogger(__name__)

REFRESH_SECONDS = 60.0
"""How often the certificates and the names are read anew; all of them may be changed at any time."""
RETRY_SECONDS = 5.0
FRONT_PROXY = Key("kube-system", "extension-apiserver-authentication")


class Unavailable(Exception):
    """What is asked for cannot be known now; the HPA holds its size then."""


class MetricsApi:
    """The server. `run` until cancelled."""

    def __init__(self, port: int, folder: Path, kube: Kube, cache: Cache, urls: RedisUrls, redises: Redises) -> None:
        """`folder` holds the server's own certificate: tls.crt and tls.key."""
        self._port, self._folder = port, folder
        self._kube, self._cache, self._urls, self._redises = kube, cache, urls, redises
        self._names: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Serve; where that cannot be done, say why and try again: scaling goes on without it."""
        while True:
            try:
                await self._serve()
            except (KubeError, OSError, NamesError) as error:
                log.warning("external metrics are not served: %s", error)
            except Exception:
                log.exception("external metrics are not served")
            else:
                continue
            await asyncio.sleep(RETRY_SECONDS)

    async def _serve(self) -> None:
        """Serve those whom one authority vouches for, until there is another one.

        A context never forgets an authority, and lets a client back in without a look at its certificate. So another
        authority gets another server.
        """
        authority = await self._read_front_proxy()
        tls = self._context(authority)
        app = web.Application()
        app.router.add_get(external_metrics.ROOT, self._discover)
        app.router.add_get(f"{external_metrics.ROOT}/namespaces/{{namespace}}/{{metric}}", self._values)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, port=self._port, ssl_context=tls).start()
            while True:
                await asyncio.sleep(REFRESH_SECONDS)
                try:
                    if (other := await self._read_front_proxy()) != authority:
                        self._context(other)  # one that cannot be used ends nothing
                        log.info("external metrics: the API server has another authority for its client certificate")
                        return
                    self._load_certificate(tls)
                except (KubeError, OSError, NamesError) as error:
                    log.warning("external metrics: the certificates stay as they were: %s", error)
        finally:
            await runner.cleanup()

    def _context(self, authority: str) -> ssl.SSLContext:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=authority)
        tls.verify_mode = ssl.CERT_REQUIRED
        self._load_certificate(tls)
        return tls

    def _load_certificate(self, tls: ssl.SSLContext) -> None:
        """New handshakes use what is read here. ssl.SSLError is an OSError."""
        certificate, key = self._folder / "tls.crt", self._folder / "tls.key"
        for file in (certificate, key):
            file.stat()  # names the one that is not there; load_cert_chain does not
        tls.load_cert_chain(certificate, key)

    async def _read_front_proxy(self) -> str:
        """Note which names may speak for others; returns the authority that must vouch for them, as PEM."""
        found = (await self._kube.get("v1", FRONT_PROXY, "configmaps")).get("data") or {}
        authority = found.get("requestheader-client-ca-file", "")
        if not authority:
            msg = f"the ConfigMap {FRONT_PROXY} has no requestheader-client-ca-file: this API server aggregates no APIs"
            raise KubeError(msg)
        self._names = external_metrics.allowed_names(found.get("requestheader-allowed-names", ""))
        return str(authority)

    async def _discover(self, request: web.Request) -> web.Response:
        return self._refused(request) or web.json_response(external_metrics.discovery())

    async def _values(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request)) is not None:
            return refused
        namespace, metric = request.match_info["namespace"], request.match_info["metric"]
        selector = request.query.get("labelSelector", "")
        try:
            if metric in external_metrics.OF_QUEUES:
                found = await self._of_queues(namespace, metric, selector)
            elif metric == external_metrics.POOL_WANTED:
                found = self._of_pools(namespace, selector)
            else:
                known = ", ".join(external_metrics.METRICS)
                return _answer(404, "NotFound", f"there is no metric {metric!r}; there are {known}")
        except BadSelectorError as error:
            return _answer(400, "BadRequest", str(error))
        except Unavailable as error:
            return _answer(503, "ServiceUnavailable", str(error))
        return web.json_response(external_metrics.value_list(found, datetime.now(UTC)))

    async def _of_queues(self, namespace: str, metric: str, selector: str) -> list[Value]:
        wanted = [
            queue
            for key, queue in self._cache.queues.items()
            if key.namespace == namespace and external_metrics.selects(selector, {"queue": key.name})
        ]
        seen = await asyncio.gather(*map(self._read, wanted))
        return [
            external_metrics.queue_value(metric, queue.key.name, one) for queue, one in zip(wanted, seen, strict=True)
        ]

    async def _read(self, queue: QueueResource) -> QueueSnapshot:
        url, problem = self._urls.resolve(queue)
        place = look.address(queue.key)
        found = {} if url is None else await self._redises.read(url, {place: 0})
        if place not in found:
            why = problem or (url and self._redises.why(url, place)) or "its Redis does not answer"
            msg = f"JobQueue {queue.key} cannot be read now: {why}"
            raise Unavailable(msg)
        return found[place]

    def _of_pools(self, namespace: str, selector: str) -> list[Value]:
        values = [
            external_metrics.pool_value(pool)
            for key, pool in self._cache.pools.items()
            if key.namespace == namespace and external_metrics.selects(selector, {"pool": key.name})
        ]
        return [value for value in values if value is not None]

    def _refused(self, request: web.Request) -> web.Response | None:
        """The answer to a certificate with a name that may not speak for others; None when it may."""
        transport = request.transport
        certificate: Manifest = (transport.get_extra_info("peercert") if transport else None) or {}
        names = {value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"}
        if self._names and not names & self._names:
            return _answer(403, "Forbidden", "this client certificate is not the API server's")
        return None


def _answer(code: int, reason: str, message: str) -> web.Response:
    return web.json_response(external_metrics.failure(code, reason, message), status=code)
