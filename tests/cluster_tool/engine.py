"""One Docker engine: how to speak to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import IO

from . import commands

ANSWER_SECONDS = 20.0
"""How long `docker info` may take."""


class EngineKind(StrEnum):
    """Whose engine it is."""

    EXISTING = "existing"
    PRIVATE = "private"


@dataclass(frozen=True, slots=True)
class Engine:
    """A way to speak to one Docker engine; `host` is None where Docker's own settings name it."""

    kind: EngineKind
    host: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to speak to this engine."""
        return {} if self.host is None else {"DOCKER_HOST": self.host}

    def docker(self, *words: str, stdin: IO[bytes] | None = None, seconds: float | None = None) -> str:
        """Runs one docker command on this engine and returns its output.

        Raises:
            ClusterToolError: the command failed.
        """
        return commands.run(["docker", *words], environment=self.environment, stdin=stdin, seconds=seconds)

    @property
    def answers(self) -> bool:
        """Whether the engine is there."""
        return commands.succeeds(["docker", "info"], environment=self.environment, seconds=ANSWER_SECONDS)

    def has_image(self, name: str) -> bool:
        """Whether the engine has an image of this name."""
        return commands.succeeds(["docker", "image", "inspect", name], environment=self.environment)
