"""The cluster tool on the machine itself, with a cluster of its own."""

from __future__ import annotations

import time

import pytest

from cluster_tool import clusters
from cluster_tool.errors import MissingPartError
from fixtures.requirement import lacking

from .polling import rounds
from .traces import left_behind, traces

NAME = "jobfleet-traces"
ENGINE_TIDIES_SECONDS = 90.0
AGAIN_SECONDS = 10.0
"""How long `up` may take when the cluster is up."""


def test_a_cluster_comes_up_twice_as_one_and_leaves_nothing_when_it_goes_down(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster = clusters.Cluster(NAME)
    before = traces()
    try:
        clusters.up(cluster, workers=0)
    except MissingPartError as error:
        lacking(str(error))
    try:
        identity = cluster.kubectl("get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}")
        started = time.monotonic()
        clusters.up(cluster, workers=0)
        assert time.monotonic() - started < AGAIN_SECONDS
        assert cluster.kubectl("get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}") == identity
        assert "is up already" in capsys.readouterr().err
    finally:
        clusters.down(cluster)
    # an engine that another cluster uses stays, and looks once a minute for network namespaces that it could not remove
    left: dict[str, set[str]] = {}
    for _ in rounds(ENGINE_TIDIES_SECONDS, lambda: 0.3):
        left = left_behind(before, traces())
        if not left:
            break
    assert left == {}
    clusters.down(cluster)
    assert "is down" in clusters.status(cluster)
