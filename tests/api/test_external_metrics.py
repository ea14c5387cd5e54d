"""`external.metrics.k8s.io`, asked for through a real API server and read by the real HPA controller."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from api.conftest import Operators
from api.stage import Shop, enqueue, pool_manifest, queue_manifest, until
from cluster_tool import ports
from fixtures.api_server import Kubectl
from fixtures.chart import NAMESPACE, Chart

API = "apis/external.metrics.k8s.io/v1beta1"
Served = Callable[[], int]


@pytest.fixture
def served(chart: Chart, shop: Shop, api_kubectl: Kubectl, operators: Operators, tmp_path: Path) -> Iterator[Served]:
    """Starts an operator that serves the group as the chart sets it up, certificate included; returns its port.

    No Pod network leads to the operator here, so the Service is a name for this machine.
    """
    rendering = chart.render({"externalMetrics": {"enabled": True}})
    (port,) = ports.free_ports(1)
    folder = tmp_path / "certificate"
    folder.mkdir()
    for name, encoded in rendering.one("Secret", "jobfleet-metrics")["data"].items():
        (folder / name).write_bytes(b64decode(encoded))
    (api,) = rendering.all("APIService")
    api["spec"]["service"]["port"] = port
    service = rendering.one("Service", "jobfleet-metrics")
    service["spec"] = {"type": "ExternalName", "externalName": "localhost"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    api_kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([namespace, service, api]))

    def serve() -> int:
        operators(JOBFLEET_EXTERNAL_METRICS_PORT=str(port), JOBFLEET_EXTERNAL_METRICS_FOLDER=str(folder))
        api_kubectl("wait", "--for=condition=Available", f"apiservice/{api['metadata']['name']}", "--timeout=60s")
        return port

    yield serve
    api_kubectl("delete", "apiservice", api["metadata"]["name"])


def ask(shop: Shop, metric: str, selector: str = "") -> list[dict[str, Any]]:
    query = f"?labelSelector={selector}" if selector else ""
    answer = shop.kubectl("get", "--raw", f"/{API}/namespaces/{shop.namespace}/{metric}{query}")
    return [{**one, "timestamp": ""} for one in json.loads(answer)["items"]]


def refusal(shop: Shop, metric: str, selector: str = "") -> str:
    with pytest.raises(AssertionError) as refused:
        ask(shop, metric, selector)
    return str(refused.value)


async def test_queues_and_pools_are_read_through_the_api_server_and_by_nobody_else(
    shop: Shop, served: Served, redis_url: str
) -> None:
    shop.apply(queue_manifest(), queue_manifest("mail"), pool_manifest())
    await enqueue(shop, redis_url, 100)
    port = served()
    named = {one["name"] for one in json.loads(shop.kubectl("get", "--raw", f"/{API}"))["resources"]}
    assert named == {"jobfleet_queue_backlog", "jobfleet_queue_oldest_seconds", "jobfleet_pool_wanted_workers"}
    await until("the pool is decided about", lambda: ask(shop, "jobfleet_pool_wanted_workers"))
    wanted = lambda: ask(shop, "jobfleet_pool_wanted_workers", "pool%3Dphotos")[0]["value"]  # noqa: E731
    await until("five workers are wanted", lambda: wanted() == "5")
    assert ask(shop, "jobfleet_queue_backlog", "queue%3Dphotos") == [
        {
            "metricName": "jobfleet_queue_backlog",
            "metricLabels": {"queue": "photos"},
            "timestamp": "",
            "value": "100",
        }
    ]
    values = {one["metricLabels"]["queue"]: one["value"] for one in ask(shop, "jobfleet_queue_backlog")}
    assert values == {"photos": "100", "mail": "0"}
    assert ask(shop, "jobfleet_queue_backlog", "queue%3Dnone") == []
    assert "there is no metric" in refusal(shop, "jobfleet_colour")
    assert "is not understood" in refusal(shop, "jobfleet_queue_backlog", "queue%3E3")
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):  # no client certificate, no answer
            await session.get(f"https://localhost:{port}/{API}", ssl=False)


async def test_an_hpa_scales_by_what_a_recommending_pool_wants(shop: Shop, served: Served, redis_url: str) -> None:
    shop.apply(queue_manifest(), pool_manifest(mode="Recommend", minReplicas=1))
    served()
    await enqueue(shop, redis_url, 100)
    metric = {"name": "jobfleet_pool_wanted_workers", "selector": {"matchLabels": {"pool": "photos"}}}
    external = {"metric": metric, "target": {"type": "AverageValue", "averageValue": "1"}}
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "photos"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "photos"},
            "minReplicas": 1,
            "maxReplicas": 20,
            "metrics": [{"type": "External", "external": external}],
        },
    }
    await until("the Deployment has its minimum", lambda: shop.replicas() == 1)
    shop.apply(hpa)
    await until("the HPA has made it five", lambda: shop.replicas() == 5, 90.0)
