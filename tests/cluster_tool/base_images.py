"""The images that ours are built upon where none can be pulled: Python on Debian, and Redis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import archive, cache, debian_root


@dataclass(frozen=True, slots=True)
class BaseImage:
    """An image of one Debian root."""

    name: str
    include: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


BASE = BaseImage(
    name="localhost/base:1",
    include=("python3", "python3-venv", "ca-certificates"),
    settings={"Cmd": ["python3"]},
)
"""Stands in for `python:3-slim`."""

REDIS = BaseImage(
    name="localhost/redis:dev",
    include=("redis-server",),
    settings={"Cmd": ["redis-server"], "WorkingDir": "/tmp", "ExposedPorts": {"6379/tcp": {}}, "User": "1000:1000"},
)
"""Stands in for `redis:7`; runs as any user."""


def built(image: BaseImage) -> Path:
    """The path of the image's archive, built now or earlier.

    Raises:
        ClusterToolError: see `debian_root.tarred`.
    """
    label = image.name.removeprefix("localhost/").replace(":", "-")
    layer = debian_root.tarred(label, image.include)
    key = cache.key(layer.name, repr(image), archive.architecture(), Path(archive.__file__))
    target = cache.root() / "images" / f"{label}-{key}.tar"
    return cache.build_once(target, lambda draft: archive.write(draft, image.name, layer, image.settings))
