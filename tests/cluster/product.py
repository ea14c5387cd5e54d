"""The product on the cluster of the tests: installed once a session, in a namespace that refuses unsafe Pods."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from photo_demo import chart
from photo_demo.kubectl import Kubectl

RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
OPERATORS = 2


@dataclass(frozen=True)
class Product:
    """The release, and how to reach the cluster."""

    helm: Path
    kubectl: Kubectl

    @property
    def system(self) -> Kubectl:
        """The namespace of the release."""
        return self.kubectl.within(chart.NAMESPACE)

    def prepare(self) -> None:
        """Make the namespace of the release, and have it refuse what is not restricted."""
        self.system.try_run("create", "namespace", chart.NAMESPACE)
        self.system.run("label", "--overwrite", "namespace", chart.NAMESPACE, RESTRICTED)

    def install(self, **values: str) -> None:
        """Install or upgrade, with these values of the chart beside what every test needs."""
        chart.install(self.helm, self.kubectl, replicas=OPERATORS, **values)

    def uninstall(self) -> None:
        chart.uninstall(self.helm, self.kubectl)

    def redis_password(self) -> str:
        return chart.redis_password(self.kubectl)
