"""Images as files, in the format of `docker save`: written without an engine, and read for their names and ids."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import ClusterToolError

SEARCH_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CHUNK_BYTES = 1 << 20


def architecture() -> str:
    """This machine's architecture, as images name it."""
    return {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), platform.machine())


def write(target: Path, name: str, layer: Path, settings: Mapping[str, Any]) -> None:
    """Writes an image of one layer, an uncompressed tar file, under a name; `settings` are those of a container."""
    diff_id = _sha256(layer)
    config = {
        "architecture": architecture(),
        "os": "linux",
        "config": {"Env": [SEARCH_PATH], **settings},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
        "history": [{"created_by": "cluster_tool"}],  # builders want one entry a layer
    }
    content = json.dumps(config).encode()
    config_name = f"{hashlib.sha256(content).hexdigest()}.json"
    layer_name = f"{diff_id}.tar"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [layer_name]}]
    with tarfile.open(target, "w") as out:
        add_bytes(out, config_name, content)
        out.add(layer, layer_name)
        add_bytes(out, "manifest.json", json.dumps(manifest).encode())


def contents(path: Path) -> dict[str, str]:
    """Name → image id (the digest of its config) of every image in an archive.

    Raises:
        ClusterToolError: the file is no archive of `docker save`.
    """
    try:
        with tarfile.open(path) as archive:
            member = archive.extractfile("manifest.json")
            entries = json.load(member) if member is not None else []
            return {tag: _digest(archive, entry["Config"]) for entry in entries for tag in entry["RepoTags"] or ()}
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise ClusterToolError(f"{path} is no image archive as `docker save` writes it: {error}") from error


def add_bytes(out: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    """Adds a file with this content to a tar file."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = mode
    out.addfile(entry, io.BytesIO(content))


def _digest(archive: tarfile.TarFile, name: str) -> str:
    member = archive.extractfile(name)
    if member is None:
        raise KeyError(name)
    return f"sha256:{hashlib.sha256(member.read()).hexdigest()}"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
