"""A Docker engine of our own, for machines where none runs: started by root, ended without a trace.

Its data (the images) stays in the cache; all else is in one folder below /run that goes when the engine ends. It is
told to leave the machine's network alone: no `docker0`, no iptables rule, no forwarding. Nodes talk over the bridge of
kind's own network, and the API server is published on the loopback by Docker's proxy process.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from . import cache, commands, kernel_limits, mounts, packages, processes
from .engine import Engine, EngineKind
from .errors import ClusterToolError
from .progress import step

START_SECONDS = 60.0
"""How long the daemon may take until it answers."""

END_SECONDS = 40.0
"""How long it may take to end; it stops what still runs first."""

SYS_RESOURCE = 24
"""The number of the capability CAP_SYS_RESOURCE."""

RUNTIME = Path(__file__).parent / "node" / "runc-without-sys-resource"
CONTROL_GROUPS = Path("/sys/fs/cgroup")
ORPHAN_SECONDS = 3.0
"""How long the orphans of a killed daemon get before SIGKILL."""

BUILT_IN_NETWORKS = frozenset({"bridge", "host", "none"})


def run_folder() -> Path:
    """The socket, the pid and the state: short, since the path of a socket has at most 108 characters."""
    return Path("/run") / f"jobfleet-{cache.key(str(cache.root()))}"


def data_folder() -> Path:
    """The images; kept from one start to the next."""
    return cache.root() / "engine"


def engine() -> Engine:
    """The private engine, whether it runs or not."""
    return Engine(EngineKind.PRIVATE, f"unix://{run_folder()}/docker.sock")


def running() -> Engine | None:
    """The private engine if it runs."""
    identity = processes.ProcessId.read(_pid_file())
    return engine() if identity is not None and identity.alive and engine().answers else None


def start() -> Engine:
    """Starts the engine unless it runs.

    Raises:
        MissingPartError: there is no dockerd, and it cannot be installed.
        ClusterToolError: it does not start; the message holds the end of its log.
    """
    with cache.lock("private-engine"):
        if (already := running()) is not None:
            return already
        packages.need("dockerd", "docker", "containerd", "runc")
        _clear()
        with step("start a private Docker engine"):
            _launch()
            _remove_containers_and_networks()  # what a daemon that was killed had kept
    return engine()


def end() -> None:
    """Ends the engine, its networks and its containers, and clears its traces; ending twice is fine."""
    with cache.lock("private-engine"):
        if running() is None and run_folder().exists():  # it was killed; only a daemon knows its bridges
            _clear()
            with contextlib.suppress(ClusterToolError):
                _launch()
        if running() is not None:
            with step("end the private Docker engine"):
                _remove_containers_and_networks()
                processes.end_by_file(_pid_file(), grace=END_SECONDS)
        processes.end_by_file(_pid_file(), grace=END_SECONDS)  # also one that runs but does not answer
        _clear()


def settings(run: Path, data: Path, *, lacks_sys_resource: bool) -> dict[str, object]:
    """The daemon's configuration; nothing of /etc/docker/daemon.json is read.

    Args:
        run: the folder of sockets and state.
        data: the folder of images.
        lacks_sys_resource: whether privileged containers must do without CAP_SYS_RESOURCE.
    """
    chosen: dict[str, object] = {
        "hosts": [f"unix://{run}/docker.sock"],
        "data-root": str(data),
        "exec-root": str(run / "exec"),
        "pidfile": str(run / "dockerd.pid"),
        "cgroup-parent": f"/{run.name}",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "bridge": "none",
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "live-restore": False,
        "shutdown-timeout": 5,
    }
    if lacks_sys_resource:
        chosen["runtimes"] = {"without-sys-resource": {"path": str(RUNTIME)}}
        chosen["default-runtime"] = "without-sys-resource"
    return chosen


def lacks_capability(status: str, number: int) -> bool:
    """Whether the bounding set in the text of /proc/self/status lacks a capability.

    >>> lacks_capability("CapBnd:\\t000001fffeffffff\\n", SYS_RESOURCE)
    True
    >>> lacks_capability("CapBnd:\\t000001ffffffffff\\n", SYS_RESOURCE)
    False
    """
    for line in status.splitlines():
        if line.startswith("CapBnd:"):
            return not int(line.split()[1], 16) >> number & 1
    return False


def _pid_file() -> Path:
    return run_folder() / "daemon.identity"


def _limits_before() -> Path:
    return run_folder() / "limits-before.json"


def _launch() -> None:
    run, data = run_folder(), data_folder()
    run.mkdir(mode=0o700)
    data.mkdir(parents=True, exist_ok=True)
    kernel_limits.raise_to_wanted(_limits_before())
    lacks = lacks_capability(Path("/proc/self/status").read_text(), SYS_RESOURCE)
    file = run / "daemon.json"
    file.write_text(json.dumps(settings(run, data, lacks_sys_resource=lacks), indent=1))
    log = run / "dockerd.log"
    environment = {"PATH": commands.search_path()}
    # the daemon takes these two as flags only
    spaces = [f"--containerd-namespace={run.name}", f"--containerd-plugins-namespace={run.name}-plugins"]
    command = [commands.find("dockerd") or "dockerd", "--config-file", file, *spaces]
    identity = processes.start(command, log=log, pid_file=_pid_file(), environment=environment)
    processes.wait_until(lambda: not identity.alive or engine().answers, START_SECONDS)
    if not engine().answers:
        said = processes.tail(log)
        processes.end_by_file(_pid_file())
        raise ClusterToolError(f"the private Docker engine does not start; its log ends with:\n{said}")


def _remove_containers_and_networks() -> None:
    docker = engine().docker
    if containers := docker("ps", "--all", "--quiet").split():
        docker("rm", "--force", "--volumes", *containers)
    names = docker("network", "ls", "--format", "{{.Name}}").split()
    for name in names:
        if name not in BUILT_IN_NETWORKS:
            docker("network", "rm", name)


def _clear() -> None:
    """Takes away what a daemon leaves, also one that was killed: processes, mounts, control groups, its folder."""
    run = run_folder()
    groups = [group for group in CONTROL_GROUPS.glob(f"**/{run.name}") if group.is_dir()]
    kernel_limits.put_back(_limits_before())
    processes.end(*_orphans(run, groups), grace=ORPHAN_SECONDS)
    mounts.release(run, data_folder())
    for group in groups:
        for folder in sorted([group, *(path for path in group.rglob("*") if path.is_dir())], reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
    cache.remove(run)


def _orphans(run: Path, groups: list[Path]) -> list[processes.ProcessId]:
    """What a killed daemon left running: its containers, and the processes that were started with its folder's name."""
    pids = {int(pid) for group in groups for file in group.rglob("cgroup.procs") for pid in file.read_text().split()}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it may end while it is looked at
            if f"{run}/".encode() in (folder / "cmdline").read_bytes():
                pids.add(int(folder.name))
    return [identity for pid in sorted(pids) if pid != os.getpid() and (identity := processes.ProcessId.of(pid))]
