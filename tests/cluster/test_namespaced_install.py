"""Teams that may do nothing outside their namespace install the product there, beside each other."""

from __future__ import annotations

import json
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from photo_demo.kubectl import Kubectl

from jobfleet import Fleet

from .arena import Arena, pool, queue
from .forward import forwarded
from .polling import eventually
from .product import RESTRICTED, Product

ROOT = Path(__file__).parents[2]
ADMINISTRATOR = str(ROOT / "docs" / "how-to" / "namespaced" / "administrator.yaml")
"""What the documentation has an administrator apply beside the resource definitions."""
TEAMS = ("team-one", "team-two")
BYSTANDER = "bystander"
BORN_WITH = {"configmap/kube-root-ca.crt", "serviceaccount/default", "rolebinding.rbac.authorization.k8s.io/admins"}
KINDS = "all,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies,leases,pdb,jobqueues,workerpools"


@dataclass(frozen=True)
class Team:
    """One of them, with what its administrator may do and no more."""

    product: Product
    kubectl: Kubectl

    @property
    def name(self) -> str:
        return self.kubectl.namespace

    def helm(self, *words: str) -> str:
        who = (f"--kubeconfig={self.kubectl.kubeconfig}", f"--namespace={self.name}", f"--kube-as-user={self.name}")
        done = subprocess.run([self.product.helm, *who, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(self) -> None:
        values = {"watchNamespaces": f"{{{self.name}}}", "crds.install": "false"}
        values |= {"image.repository": "localhost/jobfleet", "image.tag": "dev"}
        values |= {"redis.embedded.image.repository": "localhost/redis", "redis.embedded.image.tag": "dev"}
        settings = [f"--set={key}={value}" for key, value in values.items()]
        told = self.helm(
            "install", "jobfleet", str(ROOT / "charts" / "jobfleet"), "--wait", "--timeout=120s", *settings
        )
        assert f"\n  kubectl -n {self.name} get jobqueues,workerpools\n" in told, "it advises what the team may do"

    def play(self) -> None:
        """The whole path: a queue and a pool, jobs, workers, and back to none."""
        password = b64decode(self.kubectl.json("get", "secret/jobfleet-redis")["data"]["password"]).decode()
        with forwarded(self.kubectl, "jobfleet-redis", 6379) as port:
            fleet = Fleet(f"redis://:{password}@127.0.0.1:{port}/0", realm=self.name)
            try:
                arena = Arena(self.kubectl, fleet)
                arena.set_up(maxReplicas=2)
                assert [job.attempt for job in arena.until_completed(*arena.hold(2, 2))] == [1, 1]
                arena.until_no_workers()
            finally:
                fleet.close_sync()

    def left(self) -> set[str]:
        """What there is in the namespace, by kind and name."""
        return set(self.kubectl.run("get", KINDS, "--output=name").split()) - BORN_WITH


@pytest.fixture
def teams(installable: Product) -> Iterator[list[Team]]:
    """Two namespaces with an administrator each, and what the cluster's administrator prepares; no product yet."""
    admin = installable.kubectl
    installable.uninstall()
    admin.run("apply", "--server-side", "--force-conflicts", f"--filename={ROOT / 'crds'}")
    admin.run("apply", f"--filename={ADMINISTRATOR}")
    for name in (*TEAMS, BYSTANDER):
        admin.run("create", "namespace", name)
        admin.run("label", "namespace", name, RESTRICTED)
        admin.within(name).run("create", "rolebinding", "admins", "--clusterrole=admin", f"--user={name}")
    yield [Team(installable, replace(admin, namespace=name, user=name)) for name in TEAMS]
    admin.run("delete", "namespace", *TEAMS, BYSTANDER, "--ignore-not-found", "--timeout=90s")
    admin.run("delete", f"--filename={ADMINISTRATOR}")
    admin.run("delete", f"--filename={ROOT / 'crds'}")


def may(product: Product, operator: str, namespace: str, *what: str) -> bool:
    """Whether the operator of a team may do this in a namespace, "" for all of them."""
    where = f"--namespace={namespace}" if namespace else "--all-namespaces"
    user = f"--as=system:serviceaccount:{operator}:jobfleet"
    return product.kubectl.try_run("auth", "can-i", *what, where, user).strip().splitlines()[-1] == "yes"


def test_two_teams_and_their_operators_stay_among_themselves(teams: list[Team], installable: Product) -> None:
    one, two = teams
    third = installable.kubectl.within(BYSTANDER)
    for manifest in (queue(), pool(minReplicas=1)):
        third.run("apply", "--filename=-", stdin=json.dumps(manifest))
    for team in teams:
        team.install()
        team.play()

    assert set(third.run("get", "all", "--output=name").split()) == set(), "nobody serves the third"
    for kind in ("jobqueue", "workerpool"):
        assert "status" not in third.json("get", f"{kind}/held")
    for team, other in ((one, two), (two, one)):
        has_rights_in_its_namespace_only(installable, team.name, other.name)
        log = team.kubectl.run("logs", "deployment/jobfleet").lower()
        assert "forbidden" not in log, log
        assert "traceback" not in log, log

    leaves_nothing(one)
    two.play()


def has_rights_in_its_namespace_only(product: Product, own: str, other: str) -> None:
    for what in (
        ("get", "secrets"),
        ("patch", "deployments.apps"),
        ("delete", "pods"),
        ("list", "jobqueues.jobfleet.dev"),
        ("patch", "jobqueues.jobfleet.dev", "--subresource=status"),
    ):
        assert may(product, own, own, *what), what
        for elsewhere in (other, BYSTANDER, "kube-system", ""):
            assert not may(product, own, elsewhere, *what), (what, elsewhere)
    for what in (("list", "secrets"), ("create", "pods"), ("delete", "jobqueues.jobfleet.dev")):
        assert not may(product, own, own, *what), what
    bindings: dict[str, Any] = product.kubectl.json("get", "clusterrolebindings")
    subjects = [subject for each in bindings["items"] for subject in each.get("subjects") or []]
    assert not [each for each in subjects if each.get("namespace") in TEAMS], "no right beyond a namespace"


def leaves_nothing(team: Team) -> None:
    team.kubectl.run("delete", "workerpool/held", "jobqueue/held", "configmap/job-code")
    team.helm("uninstall", "jobfleet", "--wait", "--timeout=60s")
    eventually(lambda: not team.left(), "nothing is left of the release", seconds=60)
    replace(team.kubectl, user="").run("delete", "namespace", team.name, "--timeout=60s")


def test_a_team_without_that_right_is_refused_when_it_asks_for_all_namespaces(teams: list[Team]) -> None:
    one, _ = teams
    with pytest.raises(AssertionError, match="clusterroles"):
        one.helm("install", "jobfleet", str(ROOT / "charts" / "jobfleet"), "--set=crds.install=false")
