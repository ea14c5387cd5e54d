"""Which node image kind uses: its own where it can be had, else one of our making.

`JOBFLEET_NODE_IMAGE` forces a choice: `pull`, `build`, or the name of an image that the engine has.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from . import node_image, versions
from .engine import Engine
from .errors import ClusterToolError
from .progress import say, step

WISH = "JOBFLEET_NODE_IMAGE"
PULL_SECONDS = 900.0
"""How long kind's node image, 300 MB to 400 MB, may take."""


def find(engine: Engine, environment: Mapping[str, str] = os.environ) -> str:
    """The name of a node image, which the engine has afterwards.

    Raises:
        ClusterToolError: no image can be pulled or built.
    """
    wish = environment.get(WISH, "")
    if wish not in ("", "pull", "build"):
        return wish
    if wish != "build" and (wish == "pull" or not engine.has_image(node_image.tag())):
        if engine.has_image(versions.KIND_NODE_IMAGE) or _pull(engine, must=wish == "pull"):
            return versions.KIND_NODE_IMAGE
        say("kind's node image cannot be pulled here, so one is built from package registries")
    return node_image.ensure(engine)


def _pull(engine: Engine, *, must: bool) -> bool:
    try:
        with step("pull kind's node image"):
            engine.docker("pull", "--quiet", versions.KIND_NODE_IMAGE, seconds=PULL_SECONDS)
    except ClusterToolError:
        if must:
            raise
        return False
    return True
