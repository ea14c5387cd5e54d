"""Installs each peer in an environment of its own under the cache folder, once for each set of pinned packages."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.peer import Peer

INSTALL_SECONDS = 600
"""How long one installation may take."""
READY = "ready"
"""The file whose presence says that an environment is whole."""


class NotInstalled(Exception):
    """A peer cannot be installed here; the message says why."""


def cache_folder(variables: Mapping[str, str] = os.environ) -> Path:
    """Where environments are kept: `$JOBFLEET_CACHE`, else `$XDG_CACHE_HOME/jobfleet`, else `~/.cache/jobfleet`."""
    if chosen := variables.get("JOBFLEET_CACHE"):
        return Path(chosen).expanduser().absolute() / "bench"
    return Path(variables.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "jobfleet" / "bench"


def folder(peer: Peer) -> Path:
    """The environment of a peer, whether it exists or not; other packages or another Python make another."""
    recipe = repr((peer.dependencies, "node" if peer.is_node else sys.version_info[:2]))
    return cache_folder() / f"{peer.key}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def command(peer: Peer) -> list[str]:
    """What starts a peer's program; its arguments follow."""
    if peer.is_node:
        return ["node", str(peer.program)]
    return [python(peer), str(peer.program)]


def python(peer: Peer) -> str:
    """The interpreter of a Python peer; jobfleet runs in this repository's environment."""
    return sys.executable if peer.is_ours else str(folder(peer) / "venv/bin/python")


def variables(peer: Peer) -> dict[str, str]:
    """What a peer's environment needs in its variables."""
    return {"NODE_PATH": str(folder(peer) / "node_modules")} if peer.is_node else {}


def install(peer: Peer) -> bool:
    """Make the peer's environment if it is not there; whether there was anything to do.

    Raises:
        NotInstalled: a tool is missing, or the package registry did not deliver.
    """
    home = folder(peer)
    if peer.is_ours or (home / READY).exists():
        return False
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    if peer.is_node:
        _install_node(peer, home)
    else:
        _run([sys.executable, "-m", "venv", str(home / "venv")])
        _run([python(peer), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.dependencies])
    (home / READY).touch()
    return True


def _install_node(peer: Peer, home: Path) -> None:
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise NotInstalled("node or npm is missing; install Node 20 or newer, or leave this peer out with --peer")
    pinned = dict(spec.rsplit("@", 1) for spec in peer.dependencies)
    (home / "package.json").write_text(json.dumps({"private": True, "dependencies": pinned}, indent=2))
    _run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"], home)


def _run(arguments: list[str], where: Path | None = None) -> None:
    try:
        done = subprocess.run(
            arguments, cwd=where, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{arguments[0]} failed: {error}") from error
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise NotInstalled(f"{Path(arguments[0]).name} {arguments[1]} failed: {said}")
