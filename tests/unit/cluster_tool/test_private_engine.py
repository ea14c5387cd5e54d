"""The private engine leaves the machine's network and its other engines alone."""

from __future__ import annotations

from pathlib import Path

from cluster_tool import private_engine
from cluster_tool.private_engine import SYS_RESOURCE, lacks_capability, run_folder, settings

RUN, DATA = Path("/run/jobfleet-x"), Path("/cache/engine")
LONGEST_SOCKET_PATH = 107


def test_everything_it_writes_is_in_its_two_folders() -> None:
    chosen = settings(RUN, DATA, lacks_sys_resource=False)
    paths = [chosen["data-root"], chosen["exec-root"], chosen["pidfile"], *chosen["hosts"]]  # type: ignore[misc]
    assert all(str(RUN) in str(path) or str(DATA) in str(path) for path in paths)


def test_it_makes_no_bridge_no_rule_and_no_sysctl() -> None:
    chosen = settings(RUN, DATA, lacks_sys_resource=False)
    assert chosen["bridge"] == "none"
    assert not any(chosen[name] for name in ("iptables", "ip6tables", "ip-forward"))


def test_another_runtime_is_named_only_where_the_capability_is_lacking() -> None:
    assert "default-runtime" not in settings(RUN, DATA, lacks_sys_resource=False)
    assert settings(RUN, DATA, lacks_sys_resource=True)["default-runtime"] == "without-sys-resource"
    assert private_engine.RUNTIME.stat().st_mode & 0o111


def test_a_status_without_capabilities_lacks_none() -> None:
    assert not lacks_capability("Name:\tsh\n", SYS_RESOURCE)


def test_the_path_of_its_socket_is_short_wherever_the_cache_is() -> None:
    assert len(f"{run_folder()}/exec/libnetwork/0123456789abcdef.sock") < LONGEST_SOCKET_PATH
