"""Leaving: nothing of jobfleet stands in the way. Runs last, since the product is gone afterwards."""

from __future__ import annotations

from photo_demo.kubectl import Kubectl

from .arena import Arena
from .polling import eventually
from .product import Product


def test_an_upgrade_keeps_the_password_of_redis(installed: Product) -> None:
    before = installed.redis_password()
    installed.install()
    assert installed.redis_password() == before


def test_after_the_product_is_gone_namespaces_and_definitions_can_be_deleted(
    arena: Arena, product: Kubectl, installed: Product
) -> None:
    arena.set_up(maxReplicas=1)
    (job_id,) = arena.hold(0.1)
    arena.until_completed(job_id)

    installed.uninstall()

    assert "held" in arena.kubectl.run("get", "jobqueues"), (
        "helm uninstall keeps the definitions and what is made of them"
    )
    arena.kubectl.run("delete", "namespace", arena.kubectl.namespace, "--timeout=60s")
    product.run("delete", "crd", "jobqueues.jobfleet.dev", "workerpools.jobfleet.dev", "--timeout=60s")
    left = product.run("get", "clusterroles,clusterrolebindings", "--output=name")
    assert not [name for name in left.split() if "jobfleet" in name]
    eventually(
        lambda: "No resources" in product.try_run("get", "all") or not product.run("get", "pods", "-o", "name"),
        "all Pods are gone",
    )
