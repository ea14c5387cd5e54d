"""The images of the demo: the product, the example on top of it, and a Redis."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from photo_demo.console import say
from photo_demo.errors import DemoError
from photo_demo.tool import tool

PRODUCT = "localhost/jobfleet:dev"
EXAMPLE = "localhost/jobfleet-photos:dev"
REDIS = "localhost/redis:dev"


@dataclass(frozen=True)
class Images:
    """Archives to load, and the Redis image that the chart is told to use; None leaves the chart its own."""

    archives: list[Path]
    redis: str | None


def build() -> Images:
    """Build what changed; DemoError when the product or the example cannot be built."""
    product = tool("build", PRODUCT)
    example = tool("build", EXAMPLE, "--context", "examples/photos", "--build-arg", f"BASE={PRODUCT}")
    try:
        return Images([Path(product), Path(example), Path(tool("build-redis"))], REDIS)
    except DemoError:
        say("no Redis image can be built on this machine, so the nodes pull the one that the chart names")
        return Images([Path(product), Path(example)], None)
