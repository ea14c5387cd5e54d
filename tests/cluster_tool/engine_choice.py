"""Which Docker engine runs the nodes: the one that answers, else a private one, else a sentence.

`JOBFLEET_ENGINE` forces a choice: `existing` or `private`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from . import private_engine
from .engine import Engine, EngineKind
from .errors import ClusterToolError, MissingPartError
from .progress import say

WISH = "JOBFLEET_ENGINE"


@dataclass(frozen=True, slots=True)
class Machine:
    """What the choice of an engine depends on."""

    engine_answers: bool
    linux: bool
    root: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine, and the reason in a sentence for the user."""

    kind: EngineKind
    reason: str


def choose(machine: Machine, wish: str = "") -> Choice:
    """Decides which engine to use.

    Raises:
        MissingPartError: no engine answers, and a private one needs root on Linux.
        ClusterToolError: the wish is no word that is known.
    """
    if wish not in ("", *EngineKind):
        raise ClusterToolError(f"{WISH}={wish} is not known; say {' or '.join(EngineKind)}, or leave it out")
    if machine.engine_answers and wish != EngineKind.PRIVATE:
        return Choice(EngineKind.EXISTING, "a Docker engine answers on this machine")
    if machine.linux and machine.root and wish != EngineKind.EXISTING:
        why = f"{WISH} asks for it" if wish else "no Docker engine answers, and you are root on Linux"
        return Choice(EngineKind.PRIVATE, f"a private Docker engine: {why}")
    raise MissingPartError(
        "a Docker engine that answers (or root on Linux, to start a private one)",
        "sudo apt-get install docker.io && sudo usermod -aG docker $USER, or Docker Desktop",
    )


def look_at_machine(wish: str) -> Machine:
    """Finds out what the choice depends on; a user who wants a private engine is not kept waiting for another."""
    answers = wish != EngineKind.PRIVATE and Engine(EngineKind.EXISTING).answers
    return Machine(engine_answers=answers, linux=sys.platform == "linux", root=os.geteuid() == 0)


def find(environment: Mapping[str, str] = os.environ) -> Engine:
    """The engine to use; a private one is started if need be.

    Raises:
        MissingPartError: see `choose`.
        ClusterToolError: the private engine does not start.
    """
    engine = find_or_plan(environment)
    return private_engine.start() if engine.kind is EngineKind.PRIVATE else engine


def find_or_plan(environment: Mapping[str, str] = os.environ) -> Engine:
    """The engine to use; a private one may not run yet.

    Raises:
        MissingPartError: see `choose`.
    """
    wish = environment.get(WISH, "")
    if wish != EngineKind.EXISTING and (running := private_engine.running()) is not None:
        return running
    choice = choose(look_at_machine(wish), wish)
    say(choice.reason)
    return Engine(EngineKind.EXISTING) if choice.kind is EngineKind.EXISTING else private_engine.engine()
