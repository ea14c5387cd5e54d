"""The operator's token is revoked or runs out: it reads the file again, and waits for a good one without a restart."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from api.conftest import Operators
from api.gate import Gate, gate
from api.stage import QUICK, Shop, enqueue, pool_manifest, probe, queue_manifest, until
from fixtures.chart import Chart
from jobfleet.inspection import Inspector, QueueAddress

ACCOUNT = "fleet-operator"


def new_account(shop: Shop) -> str:
    """A token of a ServiceAccount that is made anew: those of the one before are revoked."""
    shop.kubectl("delete", "serviceaccount", ACCOUNT, "--ignore-not-found")
    shop.kubectl("create", "serviceaccount", ACCOUNT)
    return shop.kubectl("create", "token", ACCOUNT, "--duration=10m").strip()


def may_do_what_the_chart_lets_it(shop: Shop, chart: Chart) -> None:
    role = chart.render().one("ClusterRole", "jobfleet-system-jobfleet")
    lease = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]}
    group, named = "rbac.authorization.k8s.io", {"metadata": {"name": ACCOUNT}}
    kind = {"apiVersion": f"{group}/v1", "kind": "Role"}
    account = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": shop.namespace}
    shop.apply(
        {**kind, **named, "rules": [*role["rules"], lease]},
        {
            **kind,
            **named,
            "kind": "RoleBinding",
            "roleRef": {"apiGroup": group, "kind": "Role", "name": ACCOUNT},
            "subjects": [account],
        },
    )


async def test_a_revoked_token_holds_the_fleet_until_there_is_a_new_one(
    shop: Shop,
    operators: Operators,
    api_server: Path,
    redis_url: str,
    inspector: Inspector,
    chart: Chart,
    tmp_path: Path,
) -> None:
    file = tmp_path / "token"
    file.write_text(new_account(shop))
    may_do_what_the_chart_lets_it(shop, chart)
    async with gate(api_server, tmp_path, file) as way:
        operator = operators(KUBECONFIG=str(way.kubeconfig))
        shop.apply(queue_manifest(), pool_manifest(scaling=QUICK))
        await until("the Deployment is there", lambda: shop.replicas() == 0)
        await enqueue(shop, redis_url, 60)
        await until("it grows", lambda: shop.replicas() == 3)

        fresh = new_account(shop)
        await until("the API server has forgotten the token", partial(cut_until_refused, way), 60)
        await inspector.purge(QueueAddress(shop.namespace, "photos"))
        await until("it says so", lambda: probe(operator.health_port, "/readyz") == 503)
        assert probe(operator.health_port, "/livez") == 200
        assert shop.replicas() == 3, "nothing is scaled down by somebody who may not look"
        shop.apply(pool_manifest("late", minReplicas=1))

        file.write_text(fresh)
        await until("it is ready again", lambda: probe(operator.health_port, "/readyz") == 200)
        await until("it sees and writes again", lambda: shop.replicas("late") == 1)
        await until("the fleet is scaled again", lambda: shop.replicas() == 0)
        await until("and of its status", lambda: shop.get("workerpool", "photos")["status"]["desiredReplicas"] == 0)
        assert shop.events("ScalingUp")
        assert "forbidden" not in operator.log.read_text()
        said = [line for line in operator.log.read_text().splitlines() if "Unauthorized" in line or "401" in line]
        assert len(said) < 10, "\n".join(said)


def cut_until_refused(way: Gate) -> bool:
    """Cut the watches off, so that they are asked for again, and look whether that is refused."""
    way.cut()
    return way.count(401, path="watch=true") > 0 and way.count(401, path="/leases/") > 0
