"""The user's own cluster in place of one of ours, when named: `CLUSTER=current`. Never by surprise.

The current context is copied once, at `up`: a context that the user switches to later is not touched. `down` forgets
the copy and leaves the cluster as it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import commands, toolchain
from .errors import ClusterToolError
from .progress import say

WISH = "CLUSTER"
KIND_PREFIX = "kind-"
"""How kind begins the names of its contexts."""


def wished(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the user names the current context.

    Raises:
        ClusterToolError: the variable holds a word that is not known.
    """
    wish = environment.get(WISH, "")
    if wish not in ("", "kind", "current"):
        raise ClusterToolError(f"{WISH}={wish} is not known; say kind (the default) or current (your current context)")
    return wish == "current"


def name_in(folder: Path) -> str | None:
    """The context that was copied to a cluster's folder, or None for a cluster of ours."""
    file = folder / "context"
    return file.read_text().strip() if file.exists() else None


def adopt(folder: Path, kubeconfig: Path) -> None:
    """Copies the current context into the folder of a cluster.

    Raises:
        ClusterToolError: there is no current context, its cluster does not answer, or a cluster of ours has the folder.
    """
    if kubeconfig.exists() and name_in(folder) is None:
        raise ClusterToolError(
            f"a cluster of our own is up under this name; take it down before you say {WISH}=current"
        )
    kubectl = toolchain.program("kubectl")
    context = commands.run([kubectl, "config", "current-context"]).strip()
    copy = commands.run([kubectl, "config", "view", "--raw", "--minify", "--flatten"])
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(copy)
    (folder / "context").write_text(f"{context}\n")
    commands.run([kubectl, "--kubeconfig", kubeconfig, "get", "--raw", "/readyz"], seconds=30)
    say(f"{WISH}=current: using your context {context}, without bringing up a cluster")


def forget(folder: Path, kubeconfig: Path) -> None:
    """Forgets the copy, if there is one."""
    if name_in(folder) is not None:
        kubeconfig.unlink(missing_ok=True)
        (folder / "context").unlink()


def load(context: str, archives: Sequence[Path]) -> None:
    """Loads images into the user's cluster, where a way is known.

    Raises:
        ClusterToolError: no way is known for this kind of cluster.
    """
    if not context.startswith(KIND_PREFIX):
        names = ", ".join(map(str, archives))
        raise ClusterToolError(
            f"no way is known to load images into the context {context}; bring them there yourself ({names}), "
            f"or leave {WISH} out for a cluster of our own"
        )
    for path in archives:
        place = ["--name", context.removeprefix(KIND_PREFIX)]
        commands.run([toolchain.program("kind"), "load", "image-archive", path, *place])
