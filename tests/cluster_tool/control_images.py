"""The images of the control plane, written from our own binaries as one OCI archive.

kubeadm finds them under the names that it expects, so that nothing is pulled. All Kubernetes images share one layer,
the binary `kube`; kube-proxy and the Pod network get iptables and friends from the node's root in a second one.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import archive, commands, versions

OCI = "application/vnd.oci.image"
REGISTRY = "registry.k8s.io"
"""The name under which kubeadm looks for its images; nothing is fetched from there."""

IN_ONE_BINARY = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd", "podnet")
NETWORK_TOOLS = (
    "usr/sbin/xtables-nft-multi",
    "usr/sbin/xtables-legacy-multi",
    "usr/sbin/nft",
    "usr/sbin/conntrack",
    "usr/bin/ip",
    "usr/bin/kmod",
)
"""What kube-proxy and the Pod network call."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a layer: a file with content, a link with a target, or else a folder."""

    path: str
    content: bytes | None = None
    link: str | None = None


@dataclass(slots=True)
class OciArchive:
    """Images to be, and the blobs that they are made of."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: list[dict[str, Any]] = field(default_factory=list)

    def layer(self, entries: Iterable[Entry]) -> tuple[str, dict[str, Any]]:
        """Adds a layer; returns the digest of its content and the descriptor of its blob."""
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as tar:
            for entry in entries:
                _add(tar, entry)
        diff_id = f"sha256:{hashlib.sha256(raw.getvalue()).hexdigest()}"
        blob = gzip.compress(raw.getvalue(), 1, mtime=0)
        return diff_id, self._blob(blob, f"{OCI}.layer.v1.tar+gzip")

    def image(self, name: str, layers: list[tuple[str, dict[str, Any]]], entrypoint: list[str] | None = None) -> None:
        """Adds an image of these layers under a name."""
        platform = {"architecture": archive.architecture(), "os": "linux"}
        config = {
            **platform,
            # the label keeps the ids of images with the same layers apart
            "config": {"Env": [archive.SEARCH_PATH], "Labels": {"name": name}, "Entrypoint": entrypoint or []},
            "rootfs": {"type": "layers", "diff_ids": [diff_id for diff_id, _ in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": self._blob(json.dumps(config).encode(), f"{OCI}.config.v1+json"),
            "layers": [descriptor for _, descriptor in layers],
        }
        descriptor = self._blob(json.dumps(manifest).encode(), f"{OCI}.manifest.v1+json")
        names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}
        self.manifests.append({**descriptor, "platform": platform, "annotations": names})

    def write(self, target: Path) -> None:
        """Writes everything that was added."""
        with tarfile.open(target, "w") as out:
            archive.add_bytes(out, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            index = {"schemaVersion": 2, "manifests": self.manifests}
            archive.add_bytes(out, "index.json", json.dumps(index).encode())
            for digest, blob in self.blobs.items():
                archive.add_bytes(out, f"blobs/sha256/{digest}", blob)

    def _blob(self, content: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        self.blobs[digest] = content
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def write(target: Path, *, kube: Path, coredns: Path, pause: Path, node_root: Path) -> None:
    """Writes the archive; `node_root` is the unpacked root of the node image."""
    out = OciArchive()
    folders = [Entry(path) for path in ("tmp", "etc", "var", "run", "usr", "usr/local", "usr/local/bin")]
    names = [Entry(f"usr/local/bin/{name}", link="kube") for name in IN_ONE_BINARY]
    binary = Entry("usr/local/bin/kube", kube.read_bytes())
    kubernetes = out.layer([*folders, Entry("var/run", link="/run"), binary, *names])
    tools = out.layer(_network_tools(node_root))
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        out.image(f"{REGISTRY}/{name}:{versions.KUBERNETES}", [kubernetes])
    out.image(f"{REGISTRY}/kube-proxy:{versions.KUBERNETES}", [tools, kubernetes])
    out.image(f"{REGISTRY}/etcd:{versions.ETCD_IMAGE}", [kubernetes])
    dns = out.layer([Entry("etc"), Entry("coredns", coredns.read_bytes())])
    out.image(f"{REGISTRY}/coredns/coredns:{versions.COREDNS_IMAGE}", [dns], ["/coredns"])
    out.image(f"{REGISTRY}/pause:{versions.PAUSE_IMAGE}", [out.layer([Entry("pause", pause.read_bytes())])], ["/pause"])
    out.write(target)


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    if entry.content is not None:
        archive.add_bytes(tar, entry.path, entry.content, mode=0o755)
        return
    item = tarfile.TarInfo(entry.path)
    item.mode = 0o755
    item.type = tarfile.DIRTYPE if entry.link is None else tarfile.SYMTYPE
    item.linkname = entry.link or ""
    tar.addfile(item)


def _network_tools(root: Path) -> list[Entry]:
    """iptables, nft, conntrack and ip, with every plug-in and library that they load."""
    plugins = next(root.glob("usr/lib/*/xtables"))
    wanted = [*NETWORK_TOOLS, *(path.relative_to(root).as_posix() for path in sorted(plugins.iterdir()))]
    # the plug-ins have libraries of their own: without libm, every Service with two endpoints fails silently
    libraries = {name for program in wanted for name in _libraries(root, program)}
    files = {path: (root / path).readlink().as_posix() if _plugin_link(root, path) else None for path in wanted}
    files |= dict.fromkeys(libraries)
    entries = [Entry(path) for path in _parents([*files, "usr/sbin/iptables", "usr/lib64/x"])]
    entries += [Entry(name, link=f"usr/{name}") for name in ("bin", "sbin", "lib", "lib64")]
    for path, link in sorted(files.items()):
        entries.append(Entry(path, link=link) if link else Entry(path, _read(root, path)))
    for family in ("ip", "ip6"):
        for verb in ("", "-save", "-restore"):
            entries.append(Entry(f"usr/sbin/{family}tables{verb}", link="xtables-nft-multi"))
            entries.append(Entry(f"usr/sbin/{family}tables-nft{verb}", link="xtables-nft-multi"))
            entries.append(Entry(f"usr/sbin/{family}tables-legacy{verb}", link="xtables-legacy-multi"))
    entries.append(Entry("usr/sbin/modprobe", link="/usr/bin/kmod"))
    return entries


def _plugin_link(root: Path, path: str) -> bool:
    return "/xtables/" in path and (root / path).is_symlink()


def _libraries(root: Path, program: str) -> set[str]:
    answer = commands.run(["chroot", root, "sh", "-c", f"ldd /{program} || true"])
    paths = (word.lstrip("/") for word in answer.split() if word.startswith("/"))
    return {path if path.startswith("usr/") else f"usr/{path}" for path in paths if not path.endswith(":")}


def _read(root: Path, path: str) -> bytes:
    """The content of a file of the root; links are followed inside the root."""
    file = root / path
    while file.is_symlink():
        target = file.readlink().as_posix()
        file = root / target.lstrip("/") if target.startswith("/") else file.parent / target
    return file.read_bytes()


def _parents(paths: Iterable[str]) -> list[str]:
    return sorted({parent.as_posix() for path in paths for parent in Path(path).parents if parent.as_posix() != "."})
