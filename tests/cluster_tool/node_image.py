"""A node image for kind, made of registry packages alone: Debian, our Kubernetes, kind's own entrypoint."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from . import archive, cache, commands, control_images, debian_root, packages, processes, toolchain, versions
from .engine import Engine
from .errors import ClusterToolError
from .progress import step

FILES = Path(__file__).parent / "node"
REPOSITORY = "localhost/jobfleet-node"
DEBIAN_PACKAGES = (
    "ca-certificates",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "curl",
    "dbus",
    "e2fsprogs",
    "ethtool",
    "hostname",
    "iproute2",
    "iptables",
    "jq",
    "kmod",
    "libseccomp2",
    "mount",
    "nftables",
    "procps",
    "runc",
    "socat",
    "systemd",
    "systemd-sysv",
)
ENVIRONMENT = f"ENV container=docker {archive.SEARCH_PATH}"
ENTRYPOINT = 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]'
CONTAINERD_SECONDS = 20.0
"""How long the containerd that takes the images in may need to start."""

NOT_STARTED = (
    "lib/systemd/system/multi-user.target.wants/*",
    "etc/systemd/system/*.wants/*",
    "lib/systemd/system/local-fs.target.wants/*",
    "lib/systemd/system/sockets.target.wants/*udev*",
    "lib/systemd/system/sockets.target.wants/*initctl*",
    "lib/systemd/system/basic.target.wants/*",
    "lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
)
"""Units that make no sense in a container."""


def tag() -> str:
    """The image's name; it changes when anything changes that the image is made of."""
    recipe: list[str | Path] = [
        Path(__file__),
        Path(control_images.__file__),
        FILES,
        repr(DEBIAN_PACKAGES),
        debian_root.RECIPE,
    ]
    parts = [toolchain.target(name).parent.name for name in ("kube", "crictl", "coredns", "kind", "pause")]
    return f"{REPOSITORY}:{versions.KUBERNETES}-{cache.key(*recipe, *parts, versions.DEBIAN)}"


def ensure(engine: Engine) -> str:
    """The name of the node image, which the engine has afterwards.

    Raises:
        ClusterToolError: a part could not be fetched or built.
    """
    name = tag()
    with cache.lock("node-image"):
        if not engine.has_image(name):
            _build(engine, name)
            _remove_older(engine, name)
    return name


def _build(engine: Engine, name: str) -> None:
    packages.need("containerd", "ctr")
    programs = {part: toolchain.build(part) for part in ("kube", "crictl", "coredns", "pause")}
    kind_files = toolchain.module_folder("kind") / "images" / "base" / "files"
    packed = debian_root.tarred("node", DEBIAN_PACKAGES)
    with tempfile.TemporaryDirectory(dir=cache.folder("build"), prefix="node-") as work:
        root = Path(work) / "root"
        with step("make the node image", "half a minute"):
            debian_root.unpack(packed, root)
            _add_kind(root, kind_files)
            _add_containerd(root)
            _add_kubernetes(root, programs)
            _settle_systemd(root)
            shutil.rmtree(root / "usr" / "lib" / "python3", ignore_errors=True)
            images = Path(work) / "images.tar"
            control_images.write(
                images,
                kube=programs["kube"],
                coredns=programs["coredns"],
                pause=programs["pause"],
                node_root=root,
            )
            _preload(root, images, Path(work))
            debian_root.pack(root, Path(work) / "node.tar")
        with step("hand the node image to the engine"), (Path(work) / "node.tar").open("rb") as tar:
            engine.docker("import", "--change", ENVIRONMENT, "--change", ENTRYPOINT, "-", name, stdin=tar)


def _remove_older(engine: Engine, name: str) -> None:
    """Removes the node images of earlier recipes, but for those that a cluster still uses."""
    for other in engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", REPOSITORY).split():
        if other != name:
            with contextlib.suppress(ClusterToolError):
                engine.docker("image", "rm", other)


def _add_kind(root: Path, files: Path) -> None:
    """kind's entrypoint, its units and its settings, from kind's own module."""
    for folder in ("kind/bin", "kind/manifests", "etc/kubernetes/manifests", "etc/cni/net.d", "opt/cni"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for file in (files / "usr/local/bin/entrypoint", *(files / "kind/bin").iterdir()):
        _install(file, root / file.relative_to(files), 0o755)
    for file in (files / "etc").rglob("*"):
        if file.is_file():
            _install(file, root / file.relative_to(files), 0o644)
    (root / "kind/version").write_text(versions.KUBERNETES)
    (root / "kind/manifests/default-storage.yaml").write_text((FILES / "default-storage.yaml").read_text())
    network = (FILES / "default-cni.yaml").read_text().replace("KUBERNETES_VERSION", versions.KUBERNETES)
    (root / "kind/manifests/default-cni.yaml").write_text(network)


def _add_containerd(root: Path) -> None:
    """Debian's containerd under the paths that kind's units name."""
    for name in ("containerd", "ctr", "containerd-shim-runc-v2"):
        (root / "usr/local/bin" / name).symlink_to(f"/usr/bin/{name}")
    cache.remove(root / "opt/cni/bin")
    (root / "opt/cni/bin").symlink_to("/usr/lib/cni")
    settings = root / "etc/containerd/config.toml"
    text = settings.read_text()
    # a machine without CAP_SYS_RESOURCE cannot lower an OOM score
    text = text.replace("restrict_oom_score_adj = false", "restrict_oom_score_adj = true")
    text = text.replace('pause:3.10"', f'pause:{versions.PAUSE_IMAGE}"')
    settings.write_text(text)
    spec = json.loads(commands.run(["chroot", root, "ctr", "oci", "spec"]))
    spec["process"].pop("rlimits", None)
    hooks = spec.setdefault("hooks", {}).setdefault("createContainer", [])
    hooks.append({"path": "/kind/bin/mount-product-files.sh"})
    (root / "etc/containerd/cri-base.json").write_text(json.dumps(spec))


def _add_kubernetes(root: Path, programs: dict[str, Path]) -> None:
    _install(programs["kube"], root / "usr/bin/kube", 0o755)
    for name in ("kubeadm", "kubelet", "kubectl"):
        (root / "usr/bin" / name).symlink_to("kube")
    _install(programs["crictl"], root / "usr/local/bin/crictl", 0o755)


def _settle_systemd(root: Path) -> None:
    """Leaves to systemd what a node in a container needs, as kind's own base image does."""
    for pattern in NOT_STARTED:
        for unit in root.glob(pattern):
            unit.unlink()
    with (root / "etc/systemd/journald.conf").open("a") as journal:
        journal.write("ReadKMsg=no\n")
    units = root / "etc/systemd/system"
    wanted = units / "multi-user.target.wants"
    wanted.mkdir(exist_ok=True)
    for name in ("kubelet", "containerd", "undo-mount-hacks"):
        (wanted / f"{name}.service").symlink_to(f"/etc/systemd/system/{name}.service")
    links = {"systemd-binfmt.service": "/dev/null", "default.target": "/lib/systemd/system/multi-user.target"}
    for name, where in links.items():
        cache.remove(units / name)
        (units / name).symlink_to(where)


def _preload(root: Path, images: Path, work: Path) -> None:
    """Puts images into the node's own containerd store, not unpacked, as `kind build node-image` does."""
    with _containerd_of(root, work) as socket:
        ctr = ["ctr", "--address", str(socket), "--namespace", "k8s.io", "images"]
        how = ["--label=io.cri-containerd.pinned=pinned", "--all-platforms", "--no-unpack", "--digests"]
        commands.run([*ctr, "import", *how, images])


@contextlib.contextmanager
def _containerd_of(root: Path, work: Path) -> Iterator[Path]:
    """A containerd of this machine that works on the store of a node's root."""
    store = root / "var/lib/containerd"
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="jf-") as short:  # the path of a socket has at most 108 characters
        socket = Path(short) / "c.sock"
        settings = work / "containerd.toml"
        settings.write_text(
            f'version = 2\nroot = "{store}"\nstate = "{short}/state"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{socket}"\n'
        )
        log = work / "containerd.log"
        daemon = processes.start([commands.find("containerd") or "containerd", "--config", settings], log=log)
        try:
            answers = ["ctr", "--address", str(socket), "version"]
            if not processes.wait_until(lambda: commands.succeeds(answers), CONTAINERD_SECONDS):
                raise ClusterToolError(f"containerd did not start:\n{processes.tail(log)}")
            yield socket
        finally:
            processes.end(daemon)


def _install(source: Path, target: Path, mode: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)
