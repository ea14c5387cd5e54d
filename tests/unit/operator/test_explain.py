"""`jobfleet explain`: the last decision is replayed and worded."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from jobfleet import cli
from jobfleet_operator.adapters.kube import Kube, NotFound
from jobfleet_operator.explain import words
from jobfleet_operator.world import Key, Manifest
from unit.operator.people import meta

DECISION = {
    "number": 7, "term": 2, "time": "2026-01-01T00:00:00Z", "fromReplicas": 2, "toReplicas": 5,
    "reasons": ["backlog 100 at 20 a worker asks for 5"], "backlog": 100, "busySlots": 4, "minReplicas": 0,
    "maxReplicas": 8, "backlogPerWorker": 20, "concurrency": 4, "waiting": 96,
}  # fmt: skip


def body(spec: dict[str, Any] | None = None, **decision: Any) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "main", "image": "a"}]}}
    status = {"desiredReplicas": 5, "replicas": 5, "readyReplicas": 4, "busyWorkers": 1}
    return {
        "kind": "WorkerPool",
        "metadata": meta("photos"),
        "spec": {"queues": ["photos"], "maxReplicas": 8, "concurrency": 4, "template": template} | (spec or {}),
        "status": status | {"lastDecision": DECISION | decision},
    }


def test_a_decision_is_told_with_its_inputs_and_replayed() -> None:
    told = words(body())
    assert "WorkerPool shop/photos: 5 workers wanted (from 0 to 8), 5 exist, 4 ready, 1 busy." in told
    assert "number 7 of term 2, 2026-01-01T00:00:00Z: from 2 to 5 workers, because\n  backlog 100 at 20" in told
    assert "backlog 100: 96 waiting, 4 running" in told
    assert "Replayed: these inputs ask for 5 workers, as was decided." in told
    assert "With the spec as it is now" not in told


def test_what_windows_and_steps_made_of_it_is_told_apart() -> None:
    told = words(body(fromReplicas=8, toReplicas=6, backlog=0, waiting=0, busySlots=0))
    assert "these inputs alone ask for 0 workers; windows and steps of spec.scaling made it 6." in told


def test_an_edit_of_the_spec_shows_its_effect() -> None:
    told = words(body({"scaling": {"backlogPerWorker": 50}}))
    assert "With the spec as it is now they would ask for 2." in told


def test_a_pool_without_a_decision_says_so() -> None:
    told = words(body() | {"status": {}})
    assert "No decision has changed its size yet." in told
    assert "none yet: the operator has not seen it" in told


def explained(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["explain", *arguments])
    return ended.value.code


def test_the_command_reads_a_manifest_and_refuses_what_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(body())))
    assert explained("-") == 0
    assert "as was decided" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO('{"kind": "Pod"}'))
    assert explained("-") == 2
    assert "this is no WorkerPool but 'Pod'" in capsys.readouterr().err
    assert explained("jobqueue/photos") == 2


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One whose context has the namespace `shop`."""
    context = {"name": "it", "context": {"cluster": "it", "user": "it", "namespace": "shop"}}
    clusters, users = [{"name": "it", "cluster": {"server": "http://127.0.0.1:1"}}], [{"name": "it", "user": {}}]
    config = {"clusters": clusters, "users": users, "contexts": [context], "current-context": "it"}
    place = tmp_path / "config"
    place.write_text(json.dumps(config))
    monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(place))
    return place


def test_without_a_namespace_the_one_of_kubectls_context_is_meant(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def get(_: Kube, __: str, key: Key, ___: str) -> Manifest:
        if key != Key("shop", "photos"):
            raise NotFound("no such thing")
        return body()

    monkeypatch.setattr(Kube, "get", get)
    assert explained("workerpool/photos") == 0
    assert "WorkerPool shop/photos" in capsys.readouterr().out
    assert explained("workerpool/photos", "-n", "films") == 1
    assert "namespace films has no WorkerPool photos; -n NAMESPACE looks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("subject", "given", "says"),
    [
        ("workerpool/", "", "name the WorkerPool, as in workerpool/photos"),
        ("-", "photos", "standard input is no manifest in JSON"),
        ("-", "[]", "this is no WorkerPool but None"),
        ("workerpool/photos", "", "the credentials for Kubernetes cannot be read: "),
    ],
)
def test_what_cannot_be_explained_is_said_in_a_sentence(
    subject: str,
    given: str,
    says: str,
    kubeconfig: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kubeconfig.write_text("photos")
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    assert explained(subject) > 0
    assert says in capsys.readouterr().err


def test_without_a_kubeconfig_it_says_where_it_looked(kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kubeconfig.unlink()
    assert explained("workerpool/photos") == 1
    told = f"jobfleet explain: there is no kubeconfig at '{kubeconfig}': set KUBECONFIG to where yours is\n"
    assert capsys.readouterr().err == told


def test_without_the_operators_packages_it_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "jobfleet_operator.explain", None)
    assert explained("-") == 2
    assert "pip install '.[operator]'" in capsys.readouterr().err


def test_a_limit_and_what_falls_due_are_told_and_replayed() -> None:
    told = words(
        body(
            toReplicas=4, backlog=60, waiting=60, upcoming=60, limit=4,
            limitReason="the quota of namespace shop is 20 workers, shared by its pools",
        )
    )  # fmt: skip
    assert "60 delayed jobs that fall due soon" in told
    assert "behind an open circuit" not in told
    assert "a limit of 4: the quota of namespace shop is 20 workers" in told
    assert "Replayed: these inputs ask for 4 workers, as was decided." in told


@pytest.mark.parametrize(("ago", "asked"), [(1, 7), (15, 9), (None, 9)])
def test_a_step_for_the_age_of_a_job_is_not_replayed_before_its_time(ago: int | None, asked: int) -> None:
    told = words(
        body(
            fromReplicas=6, toReplicas=asked, backlog=70, waiting=70, busySlots=0, backlogPerWorker=10, maxReplicas=20,
            maxAgeSeconds=5, oldestSeconds=7, agedSeconds=ago, tolerancePercent=0,
        )
    )  # fmt: skip
    assert f"Replayed: these inputs ask for {asked} workers, as was decided." in told
    assert ("1 s after the last step for its age" in told) is (ago == 1)


def test_a_fallback_is_told_and_replayed() -> None:
    decision = DECISION | {"toReplicas": 3, "fallback": 3, "reasons": ["the backlog has not been known for 60 s"]}
    decision = {key: value for key, value in decision.items() if key not in {"backlog", "busySlots", "waiting"}}
    subject = body({"scaling": {"fallback": {"workers": 4}}})
    told = words(subject | {"status": subject["status"] | {"lastDecision": decision}})
    assert "a backlog that was not known, because Redis could not be read" in told
    assert "a fallback of 3 while the backlog is not known" in told
    assert "Replayed: these inputs ask for 3 workers, as was decided." in told
    assert "With the spec as it is now they would ask for 4." in told


def test_jobs_behind_an_open_circuit_are_told_and_do_not_count() -> None:
    told = words(body(toReplicas=1, backlog=3, waiting=3, busySlots=0, behindCircuit=497))
    assert "497 jobs behind an open circuit, which do not count" in told
    assert "Replayed: these inputs ask for 1 workers, as was decided." in told
