"""What a cluster could leave behind on the machine: looked at before it comes up and after it went down."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cluster_tool import cache, private_engine

SYSCTLS = ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/fs/inotify/max_user_instances")
RULE_PROGRAMS = ("iptables-save", "ip6tables-save")
CONTROL_GROUPS = Path("/sys/fs/cgroup")


def traces() -> dict[str, set[str]]:
    """Kind of trace → the traces there are. Other clusters may be up: compare, don't expect emptiness."""
    run = str(private_engine.run_folder())
    return {
        "mounts": set(_lines(Path("/proc/self/mounts"))),
        "network interfaces": {path.name for path in Path("/sys/class/net").iterdir()},
        "network namespaces": {str(path) for folder in _namespace_folders() for path in folder.glob("*")},
        "rules": {rule for program in RULE_PROGRAMS for rule in _rules(program)},
        "sysctl": {f"{file}={value}" for file in SYSCTLS for value in _lines(Path(file))},
        "control groups": {str(path) for path in CONTROL_GROUPS.glob("*/jobfleet-*")},
        "processes": {name for name in _processes() if run in name or "/kubelet" in name},
        "run folders": {str(path) for path in Path("/run").glob("jobfleet-*")},
        "clusters known": {path.name for path in (cache.root() / "run").glob("cluster-*")},
    }


def left_behind(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, set[str]]:
    """What is there now and was not before."""
    return {kind: after[kind] - before[kind] for kind in after if after[kind] - before[kind]}


def _namespace_folders() -> list[Path]:
    return [Path("/run/netns"), private_engine.run_folder() / "exec" / "netns"]


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _rules(program: str) -> Iterator[str]:
    found = shutil.which(program, path="/usr/sbin:/sbin:/usr/bin")
    if found is None:
        return
    text = subprocess.run([found], capture_output=True, text=True, check=False).stdout
    yield from (line.split(" [")[0] for line in text.splitlines() if not line.startswith("#"))


def _processes() -> Iterator[str]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it may end while it is looked at
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            groups = (folder / "cgroup").read_text().replace("\n", " ")
            yield f"{folder.name} {command} {groups}"
