"""A real API server without nodes: etcd, kube-apiserver and kube-controller-manager as plain processes.

Up in a few seconds, in a folder of its own and on free ports, so that several can run side by side. The controllers
are real: garbage collection, Deployments and ReplicaSets work; Pods stay Pending, since no node runs them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import cache, commands, ports, processes, toolchain, versions
from .errors import ClusterToolError
from .progress import step

READY_SECONDS = 60.0
"""How long the API server and the first objects of its controllers may take."""

SERVICE_RANGE = "10.96.0.0/16"
LOOPBACK = "127.0.0.1"
NOBODY = "192.0.2.1"
"""An address for documentation: kubeadm takes no loopback address, and nothing of ours goes there."""

ADMIN = "admin.kubeconfig"
CONTROLLERS = "controllers.kubeconfig"
KUBECONFIGS = {
    ADMIN: ["kubernetes-admin", "--org", "system:masters"],
    CONTROLLERS: ["system:kube-controller-manager"],
}
"""Kubeconfig → who comes with it.  The first is for the user, the second for kube-controller-manager."""

PARTS = ("kube-controller-manager", "kube-apiserver", "etcd")
"""In the order in which they are ended."""


@dataclass(frozen=True, slots=True)
class ApiServer:
    """One API server; `folder` holds all it is made of. `options` are further flags, by part."""

    folder: Path
    options: Mapping[str, Mapping[str, str | Path]] = field(default_factory=dict)

    @property
    def kubeconfig(self) -> Path:
        """The way in, as a member of `system:masters`."""
        return self.folder / ADMIN

    @property
    def running(self) -> bool:
        """Whether all of its processes run."""
        identities = [processes.ProcessId.read(self.pid_file(part)) for part in PARTS]
        return all(one is not None and one.alive for one in identities)

    def pid_file(self, part: str) -> Path:
        """Where the identity of one process is kept."""
        return self.folder / f"{part}.pid"

    def log(self, part: str) -> Path:
        """Where one process writes."""
        return self.folder / f"{part}.log"

    def down(self) -> None:
        """Ends the processes and removes the folder; doing it twice is fine."""
        for part in PARTS:
            processes.end_by_file(self.pid_file(part))
        cache.remove(self.folder)


def named(name: str) -> ApiServer:
    """The API server that the command line calls by this name."""
    return ApiServer(cache.root() / "run" / f"api-{name}")


def up(server: ApiServer) -> None:
    """Starts an API server unless it runs already; afterwards it answers and has the namespace `default`.

    Raises:
        ClusterToolError: a part does not start or does not get ready; the message holds the end of its log.
    """
    if server.running:
        return
    kube = toolchain.build("kube")
    server.down()
    server.folder.mkdir(parents=True)
    with step("start etcd, kube-apiserver and kube-controller-manager"):
        try:
            _start(server, kube)
        except BaseException:
            for part in PARTS:
                processes.end_by_file(server.pid_file(part))
            raise


def _start(server: ApiServer, kube: Path) -> None:
    client, peer, secure, controllers = ports.free_ports(4)
    _launch(server, kube, "etcd", _etcd_options(server.folder, client, peer))
    _make_credentials(kube, server.folder, secure)
    _launch(server, kube, "kube-apiserver", _apiserver_options(server.folder, client, secure))
    kubectl: list[str | Path] = [kube, "kubectl", "--kubeconfig", server.kubeconfig]
    _await(server, "kube-apiserver", [*kubectl, "get", "--raw", "/readyz"])
    _launch(server, kube, "kube-controller-manager", _controller_options(server.folder, controllers))
    _await(server, "kube-controller-manager", [*kubectl, "get", "serviceaccount", "default", "--namespace", "default"])


def kubeconfig_of(server: ApiServer, user: str) -> Path:
    """The way in as a user of this name, who is in no group: what they may do is for RBAC to say."""
    path = server.folder / f"{user}.kubeconfig"
    if not path.exists():
        _write_kubeconfig(toolchain.build("kube"), server.folder, path, [user])
    return path


def _launch(server: ApiServer, kube: Path, part: str, options: dict[str, str | Path]) -> None:
    words = [f"--{name}={value}" for name, value in {**options, **server.options.get(part, {})}.items()]
    processes.start([kube, part, *words], log=server.log(part), pid_file=server.pid_file(part))


def _await(server: ApiServer, part: str, question: list[str | Path]) -> None:
    def answered_or_dead() -> bool:
        identity = processes.ProcessId.read(server.pid_file(part))
        return identity is None or not identity.alive or commands.succeeds(question, seconds=10)

    processes.wait_until(answered_or_dead, READY_SECONDS)
    if not commands.succeeds(question, seconds=10):
        raise ClusterToolError(f"{part} did not get ready:\n{processes.tail(server.log(part))}")


def _make_credentials(kube: Path, folder: Path, port: int) -> None:
    """Lets kubeadm make the certificates and kubeconfigs."""
    pki = folder / "pki"
    settings = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "kubernetesVersion": versions.KUBERNETES,
        "certificatesDir": str(pki),
        "controlPlaneEndpoint": f"{LOOPBACK}:{port}",
        "apiServer": {"certSANs": [LOOPBACK, "localhost"]},
        "encryptionAlgorithm": "ECDSA-P256",
        "networking": {"serviceSubnet": SERVICE_RANGE},
    }
    init = {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "InitConfiguration",
        "localAPIEndpoint": {"advertiseAddress": NOBODY, "bindPort": port},
        "nodeRegistration": {"name": "api-only", "criSocket": "unix:///none"},
    }
    config = folder / "kubeadm.yaml"
    config.write_text("\n---\n".join(json.dumps(document) for document in (settings, init)))
    phase: list[str | Path] = [kube, "kubeadm", "init", "phase"]
    for what in ("ca", "apiserver", "sa", "front-proxy-ca", "front-proxy-client"):
        commands.run([*phase, "certs", what, "--config", config])
    for name, identity in KUBECONFIGS.items():
        _write_kubeconfig(kube, folder, folder / name, identity)


def _write_kubeconfig(kube: Path, folder: Path, path: Path, identity: list[str]) -> None:
    config = folder / "kubeadm.yaml"
    command: list[str | Path] = [kube, "kubeadm", "kubeconfig", "user", "--config", config, "--client-name"]
    path.write_text(commands.run([*command, *identity]))
    path.chmod(0o600)


def _etcd_options(folder: Path, client: int, peer: int) -> dict[str, str | Path]:
    return {
        "data-dir": folder / "etcd",
        "unsafe-no-fsync": "true",  # nobody needs the data after a crash
        "listen-client-urls": f"http://{LOOPBACK}:{client}",
        "advertise-client-urls": f"http://{LOOPBACK}:{client}",
        "listen-peer-urls": f"http://{LOOPBACK}:{peer}",
        "initial-advertise-peer-urls": f"http://{LOOPBACK}:{peer}",
        "initial-cluster": f"default=http://{LOOPBACK}:{peer}",
    }


def _apiserver_options(folder: Path, etcd: int, secure: int) -> dict[str, str | Path]:
    pki = folder / "pki"
    return {
        "etcd-servers": f"http://{LOOPBACK}:{etcd}",
        "bind-address": LOOPBACK,
        "advertise-address": LOOPBACK,
        "secure-port": str(secure),
        "tls-cert-file": pki / "apiserver.crt",
        "tls-private-key-file": pki / "apiserver.key",
        "client-ca-file": pki / "ca.crt",
        "service-account-key-file": pki / "sa.pub",
        "service-account-signing-key-file": pki / "sa.key",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-cluster-ip-range": SERVICE_RANGE,
        "authorization-mode": "Node,RBAC",
        # So that it can pass requests on to aggregated APIs.
        "requestheader-client-ca-file": pki / "front-proxy-ca.crt",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": pki / "front-proxy-client.crt",
        "proxy-client-key-file": pki / "front-proxy-client.key",
        "endpoint-reconciler-type": "none",  # a loopback address may be nobody's endpoint
        "shutdown-delay-duration": "0s",
    }


def _controller_options(folder: Path, port: int) -> dict[str, str | Path]:
    return {
        "kubeconfig": folder / CONTROLLERS,
        "service-account-private-key-file": folder / "pki" / "sa.key",
        "root-ca-file": folder / "pki" / "ca.crt",
        "use-service-account-credentials": "true",
        "leader-elect": "false",
        "bind-address": LOOPBACK,
        "secure-port": str(port),
    }
