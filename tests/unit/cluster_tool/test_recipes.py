"""What the tool pins and decides without looking at the machine."""

from __future__ import annotations

import doctest
import importlib
import json
import pkgutil
import re
from pathlib import Path

import pytest

import cluster_tool
from cluster_tool import clusters, current_context, dockerfile, packages, pip_settings, toolchain, versions
from cluster_tool.errors import ClusterToolError

MODULES = [module.name for module in pkgutil.iter_modules(cluster_tool.__path__) if module.name != "__main__"]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_its_docstrings_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"cluster_tool.{name}")).failed == 0


def test_the_go_module_builds_the_kubernetes_and_the_etcd_that_are_pinned() -> None:
    text = (toolchain.SOURCES / "kube" / "go.mod").read_text()
    assert re.findall(r"k8s\.io/kubernetes (v\S+)", text) == [versions.KUBERNETES]
    staging = versions.KUBERNETES.replace("v1.", "v0.")
    assert set(re.findall(r"replace (?:k8s\.io/\S+) => k8s\.io/\S+ (v\S+)", text)) == {staging}
    (etcd,) = re.findall(r"go\.etcd\.io/etcd/server/v3 v(\S+)", text)
    assert versions.ETCD_IMAGE.startswith(f"{etcd}-")
    assert versions.COREDNS == versions.COREDNS_IMAGE


def test_kubernetes_knows_its_own_version() -> None:
    flags = " ".join(toolchain.kube_flags())
    assert f"gitVersion={versions.KUBERNETES}" in flags
    assert "gitMinor=34" in flags


def test_every_program_has_a_place_of_its_version() -> None:
    assert toolchain.target("helm").parent.name == f"helm-{versions.HELM}"
    assert toolchain.target("kubectl").parent == toolchain.target("kube").parent
    assert versions.KUBERNETES in toolchain.target("kube").parent.name


def test_a_cluster_has_one_control_plane_and_as_many_workers_as_asked_for() -> None:
    roles = [node["role"] for node in json.loads(clusters.topology(2))["nodes"]]
    assert roles == ["control-plane", "worker", "worker"]


def test_the_install_command_names_each_debian_package_once() -> None:
    command = packages.install_command(["dockerd", "docker", "ctr"])
    assert command[-3:] == ["containerd", "docker.io", "iptables"]


def test_the_users_current_context_is_used_only_when_it_is_named() -> None:
    assert not current_context.wished({})
    assert not current_context.wished({"CLUSTER": "kind"})
    assert current_context.wished({"CLUSTER": "current"})
    with pytest.raises(ClusterToolError, match="CLUSTER=prod is not known"):
        current_context.wished({"CLUSTER": "prod"})


def test_images_are_not_loaded_into_a_cluster_that_is_not_known_to_take_them() -> None:
    with pytest.raises(ClusterToolError, match="context prod-eu"):
        current_context.load("prod-eu", [Path("image.tar")])


@pytest.mark.parametrize(
    ("text", "arguments", "wanted"),
    [
        ("ARG BASE=python:3.12-slim\nFROM ${BASE}\n", {}, "python:3.12-slim"),
        ("ARG BASE=python:3.12-slim\nFROM ${BASE}\n", {"BASE": "localhost/base:1"}, None),
        ("ARG BASE=localhost/jobfleet:dev\nFROM ${BASE}\n", {}, None),
        ("FROM scratch\n", {}, None),
    ],
)
def test_a_base_that_would_be_pulled_is_seen(
    tmp_path: Path, text: str, arguments: dict[str, str], wanted: str | None
) -> None:
    (tmp_path / "Dockerfile").write_text(text)
    assert dockerfile.wants_foreign_base(tmp_path / "Dockerfile", arguments) == wanted


def test_the_environment_is_stronger_than_pips_files(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\ntimeout = 5\ncert = /file.pem\nquiet = 1\n[install]\nno-deps = 1\n")
    assert pip_settings.merged([tmp_path / "pip.conf"], {"PIP_TIMEOUT": "9"}) == {"timeout": "9", "cert": "/file.pem"}
    assert pip_settings.merged([tmp_path / "none"], {}) == {}


def test_a_build_is_lent_certificates_that_exist(tmp_path: Path) -> None:
    mine = tmp_path / "mine.pem"
    mine.touch()
    assert pip_settings.certificates({"cert": str(mine)}, {}) == mine
    assert pip_settings.certificates({"cert": "/no/such.pem"}, {"SSL_CERT_FILE": str(mine)}) == mine
