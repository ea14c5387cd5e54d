"""The product on a real cluster, installed once a session, and a namespace for every test."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_tool import toolchain
from fixtures.kind_cluster import KindCluster

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "photos")
if EXAMPLE not in sys.path:
    sys.path.insert(0, EXAMPLE)

from photo_demo import images  # noqa: E402
from photo_demo.diagnosis import diagnosis  # noqa: E402
from photo_demo.kubectl import Kubectl  # noqa: E402

from jobfleet import Fleet  # noqa: E402 - after the path

from .arena import Arena  # noqa: E402
from .forward import forwarded  # noqa: E402
from .product import RESTRICTED, Product  # noqa: E402

LAST = ("test_uninstall.py", "test_namespaced_install.py")
"""The first takes the product away; the second installs others, which would quarrel with it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LAST.index(item.path.name) + 1 if item.path.name in LAST else 0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Lets fixtures know whether the test failed."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def installable(kind_cluster: KindCluster) -> Product:
    """The product, to be installed with images that were built from this source."""
    kind_cluster.load_built(images.PRODUCT)
    kind_cluster.load_built(images.EXAMPLE, "examples/photos", {"BASE": images.PRODUCT})
    kind_cluster.load_redis()
    return Product(toolchain.program("helm"), Kubectl(toolchain.program("kubectl"), kind_cluster.kubeconfig, "default"))


@pytest.fixture(scope="session")
def installed(installable: Product) -> Product:
    """The chart, installed."""
    installable.prepare()
    installable.install()
    return installable


@pytest.fixture
def product(installed: Product) -> Kubectl:
    """kubectl in the namespace of the release."""
    return installed.system


@pytest.fixture(scope="session")
def redis_port_of_cluster(installed: Product) -> Iterator[int]:
    with forwarded(installed.system, "jobfleet-redis", 6379) as port:
        yield port


@pytest.fixture
def arena(installed: Product, redis_port_of_cluster: int, request: pytest.FixtureRequest) -> Iterator[Arena]:
    """A namespace that refuses unsafe Pods, and a client of the same Redis in the same realm."""
    namespace = f"arena-{secrets.token_hex(3)}"
    kubectl = installed.kubectl.within(namespace)
    kubectl.run("create", "namespace", namespace)
    kubectl.run("label", "namespace", namespace, RESTRICTED)
    url = f"redis://:{installed.redis_password()}@127.0.0.1:{redis_port_of_cluster}/0"
    fleet = Fleet(url, realm=namespace)
    try:
        yield Arena(kubectl, fleet)
    finally:
        if request.node.stash.get(FAILED, False):
            print(diagnosis(kubectl, product=installed.system.namespace, example=namespace))
        fleet.close_sync()
        kubectl.run("delete", "namespace", namespace, "--wait=false", "--ignore-not-found")
