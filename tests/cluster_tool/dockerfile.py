"""What the tool reads in a Dockerfile: the default of its argument BASE."""

from __future__ import annotations

import re
from pathlib import Path

OURS = "localhost/"
"""The prefix of images that are built here and never pulled."""


def default_base(text: str) -> str | None:
    """The default of `ARG BASE=…`, or None when the Dockerfile has no such argument.

    >>> default_base("# the product\\nARG BASE=python:3.12-slim\\nFROM ${BASE}\\n")
    'python:3.12-slim'
    """
    found = re.search(r"^ARG\s+BASE=(\S+)", text, flags=re.MULTILINE)
    return found[1] if found else None


def wants_foreign_base(file: Path, arguments: dict[str, str]) -> str | None:
    """The image that a build would pull as its BASE, or None when it pulls none."""
    default = default_base(file.read_text())
    if "BASE" in arguments or default is None or default.startswith(OURS):
        return None
    return default
