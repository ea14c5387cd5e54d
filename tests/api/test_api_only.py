"""The API server of the tests itself."""

from __future__ import annotations

from pathlib import Path

from cluster_tool import api_only
from fixtures.api_server import kubectl_of


def test_a_second_server_runs_beside_the_first_and_ends_alone(api_server: Path, tmp_path: Path) -> None:
    first, second = kubectl_of(api_server), api_only.ApiServer(tmp_path / "second")
    try:
        api_only.up(second)
        other = kubectl_of(second.kubeconfig)
        other("create", "namespace", "of-the-second")
        assert "of-the-second" not in first("get", "namespaces", "--output=name")
        assert "of-the-second" in other("get", "namespaces", "--output=name")
    finally:
        second.down()
    assert not second.running
    assert not second.folder.exists()
    assert "kube-system" in first("get", "namespaces", "--output=name")
    second.down()
