"""Clusters of kind: up, load images, down. Each has a name and a folder with its kubeconfig."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import archive, cache, commands, current_context, engine_choice, node_choice, private_engine, toolchain
from .engine import Engine, EngineKind
from .errors import ClusterToolError
from .progress import say, step

READY_SECONDS = 180
"""How long nodes and DNS may take to get ready once kind has made them."""

WORKERS = 1
"""Nodes beside the control plane, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster by name."""

    name: str

    @property
    def folder(self) -> Path:
        """What the tool knows of the cluster; it exists from the start of `up` to the end of `down`."""
        return cache.root() / "run" / f"cluster-{self.name}"

    @property
    def kubeconfig(self) -> Path:
        """The way in; the user's own kubeconfig is never touched."""
        return self.folder / "kubeconfig"

    def kubectl(self, *words: str, seconds: float | None = None) -> str:
        """Runs one kubectl command on the cluster and returns its output."""
        program = toolchain.program("kubectl")
        return commands.run([program, "--kubeconfig", self.kubeconfig, *words], seconds=seconds)


def up(cluster: Cluster, workers: int = WORKERS) -> None:
    """Brings a cluster up; one that is up already, with as many workers, stays as it is.

    Raises:
        ClusterToolError: a part is missing or does not start.
    """
    with cache.lock(f"cluster-{cluster.name}"):
        with cache.lock("clusters"):  # from here on no `down` of another cluster ends the engine
            cluster.folder.mkdir(parents=True, exist_ok=True)
        try:
            if current_context.wished():
                current_context.adopt(cluster.folder, cluster.kubeconfig)
            else:
                current_context.forget(cluster.folder, cluster.kubeconfig)
                _up(cluster, workers)
        finally:
            if not cluster.kubeconfig.exists():
                _give_up(cluster)


def _up(cluster: Cluster, workers: int) -> None:
    engine = engine_choice.find()
    there = nodes(engine, cluster)
    if len(there) == workers + 1 and _answers(cluster):
        say(f"cluster {cluster.name} is up already, {len(there)} nodes")
        return
    if there:
        say(f"cluster {cluster.name} is there but not as it should be; it is made anew")
        _delete(engine, cluster)
    cache.remove(cluster.kubeconfig)
    image = node_choice.find(engine)
    with step(f"create cluster {cluster.name}: a control plane and {workers} worker(s)", "half a minute"):
        _create(engine, cluster, image, workers)
    with step("wait until every node and the cluster's DNS are ready"):
        _await_ready(cluster)


def _give_up(cluster: Cluster) -> None:
    """Forgets a cluster of which nothing is there, and ends the private engine if that was the last."""
    cache.remove(cluster.folder)
    with cache.lock("clusters"):
        if not names():
            private_engine.end()


def load(cluster: Cluster, archives: Sequence[Path]) -> None:
    """Loads image archives, as `docker save` writes them, into every node that runs Pods and lacks them.

    Raises:
        ClusterToolError: the cluster is not up, or a file is no image archive.
    """
    require_up(cluster)
    if context := current_context.name_in(cluster.folder):
        current_context.load(context, archives)
        return
    engine = _engine_of(cluster)
    for path in archives:
        wanted = archive.contents(path)
        lacking = [node for node in hosts(engine, cluster) if not wanted.items() <= _images(engine, node).items()]
        if not lacking:
            say(f"{', '.join(wanted)} is loaded already")
            continue
        with step(f"load {', '.join(wanted)} into {len(lacking)} node(s)"):
            _kind(engine, "load", "image-archive", str(path), "--name", cluster.name, "--nodes", ",".join(lacking))


def down(cluster: Cluster) -> None:
    """Takes a cluster down, and the private engine with the last one; taking it down twice is fine."""
    with cache.lock(f"cluster-{cluster.name}"):
        ours = current_context.name_in(cluster.folder) is None
        engine = _present_engine() if ours else None
        if engine is not None and nodes(engine, cluster):
            with step(f"delete cluster {cluster.name}"):
                _delete(engine, cluster)
        _give_up(cluster)


def down_all() -> None:
    """Takes every cluster down, and the private engine in any case."""
    for name in names():
        down(Cluster(name))
    private_engine.end()


def forget() -> None:
    """Removes everything that is cached.

    Raises:
        ClusterToolError: a cluster is up.
    """
    if there := names():
        raise ClusterToolError(f"{', '.join(there)} still up; take it down first: `down --all`")
    private_engine.end()
    cache.remove(cache.root())


def names() -> list[str]:
    """The clusters that are up or on their way."""
    folders = (cache.root() / "run").glob("cluster-*")
    return sorted(path.name.removeprefix("cluster-") for path in folders)


def nodes(engine: Engine, cluster: Cluster, role: str = "") -> list[str]:
    """The names of a cluster's nodes, which are containers; those of one role if it is named."""
    labels = [f"io.x-k8s.kind.cluster={cluster.name}"] + ([f"io.x-k8s.kind.role={role}"] if role else [])
    filters = [f"--filter=label={label}" for label in labels]
    return sorted(engine.docker("ps", "--all", *filters, "--format", "{{.Names}}").split())


def hosts(engine: Engine, cluster: Cluster) -> list[str]:
    """The nodes that run Pods: the workers; a control plane without workers runs them itself."""
    return nodes(engine, cluster, "worker") or nodes(engine, cluster)


def status(cluster: Cluster) -> str:
    """A few lines on the cluster for the user."""
    if context := current_context.name_in(cluster.folder):
        return f"{cluster.name} is your context {context}\nexport KUBECONFIG={cluster.kubeconfig}"
    engine = _present_engine()
    there = nodes(engine, cluster) if engine is not None else []
    if engine is None or not there:
        return f"cluster {cluster.name} is down"
    lines = [f"cluster {cluster.name}: {', '.join(there)} on the {engine.kind} engine"]
    lines += [f"export KUBECONFIG={cluster.kubeconfig}"]
    if engine.host:
        lines += [f"export DOCKER_HOST={engine.host}"]
    return "\n".join([*lines, cluster.kubectl("get", "nodes", "--output=wide")])


def require_up(cluster: Cluster) -> None:
    """Says how to bring a cluster up that is not.

    Raises:
        ClusterToolError: it is not up.
    """
    if not cluster.kubeconfig.exists():
        raise ClusterToolError(f"cluster {cluster.name} is not up; bring it up with `up --name {cluster.name}`")


def topology(workers: int) -> str:
    """kind's configuration of a control plane and some workers (JSON, which is YAML)."""
    roles = ["control-plane", *["worker"] * workers]
    document = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": [{"role": role} for role in roles]}
    return json.dumps(document)


def _engine_of(cluster: Cluster) -> Engine:
    engine = _present_engine()
    if engine is None:
        raise ClusterToolError(f"the engine of cluster {cluster.name} does not run; use `up --name {cluster.name}`")
    return engine


def _present_engine() -> Engine | None:
    """The engine that runs now, if any; none is started."""
    if (private := private_engine.running()) is not None:
        return private
    existing = Engine(EngineKind.EXISTING)
    return existing if existing.answers else None


def _create(engine: Engine, cluster: Cluster, image: str, workers: int) -> None:
    config = cluster.folder / "kind.json"
    config.write_text(topology(workers))
    place = ["--name", cluster.name, "--kubeconfig", str(cluster.kubeconfig)]
    _kind(engine, "create", "cluster", "--image", image, "--config", str(config), *place)


def _delete(engine: Engine, cluster: Cluster) -> None:
    _kind(engine, "delete", "cluster", "--name", cluster.name, "--kubeconfig", str(cluster.kubeconfig))


def _kind(engine: Engine, *words: str) -> None:
    commands.run([toolchain.program("kind"), *words], environment=engine.environment)


def _answers(cluster: Cluster) -> bool:
    command: list[str | Path] = [
        toolchain.program("kubectl"),
        "--kubeconfig",
        cluster.kubeconfig,
        "get",
        "--raw",
        "/readyz",
    ]
    return cluster.kubeconfig.exists() and commands.succeeds(command)


def _await_ready(cluster: Cluster) -> None:
    limit = f"--timeout={READY_SECONDS}s"
    cluster.kubectl("wait", "--for=condition=Ready", "nodes", "--all", limit)
    cluster.kubectl("rollout", "status", "deployment/coredns", "--namespace=kube-system", limit)


def _images(engine: Engine, node: str) -> dict[str, str]:
    """Name → image id of what a node has."""
    listing = json.loads(engine.docker("exec", node, "crictl", "images", "--output", "json"))
    return {name: image["id"] for image in listing["images"] for name in image.get("repoTags") or ()}
