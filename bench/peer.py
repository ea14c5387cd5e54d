"""What a peer's program says about itself in its header (inline script metadata, a block of TOML in comments)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "peers"
PATTERNS = ("*_peer.py", "*_peer.js")
OURS = "jobfleet"
WIDTHS = {"async": (100, 50, 200, 400), "sync": (8, 4, 16, 32)}
"""How many handlers of a kind a worker may run at a time; the first is used where speed is not what is measured."""
BEGIN, END = "/// script", "///"


class WrongHeader(Exception):
    """A peer's header cannot be used; the message names the file and the field."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer.

    Attributes:
        key: its name on the command line.
        name: its name in tables.
        program: the file that runs in the peer's environment.
        dependencies: packages with exact versions; for Node ``name@version``.
        imports: the statement with which a program that uses the peer begins.
        delivery: what it promises: at least once, or at most once.
        handlers: the kinds of handlers that it runs: async, sync.
        enqueues: the shapes in which it enqueues: bulk, concurrent, one_async, one_sync.
        slots: of each kind of handler, how many its worker may run at a time, where it is not free to run any number.
        keeps_completed: whether completed jobs can be kept in Redis.
        setting: how it is set, in words.
    """

    key: str
    name: str
    program: Path
    dependencies: tuple[str, ...]
    imports: str
    delivery: str
    handlers: tuple[str, ...]
    enqueues: tuple[str, ...]
    setting: str
    slots: dict[str, int]
    keeps_completed: bool

    @property
    def is_node(self) -> bool:
        """Whether it runs on Node; else on Python."""
        return self.program.suffix == ".js"

    @property
    def is_ours(self) -> bool:
        """Whether it is jobfleet, which the others are compared with."""
        return self.key == OURS

    @property
    def version(self) -> str:
        """The version of its main package, as pinned; empty for jobfleet."""
        return self.dependencies[0].replace("@", "==").partition("==")[2] if self.dependencies else ""

    def widths(self, handler: str) -> tuple[int, ...]:
        """How many handlers of a kind its worker may be told to run at a time; the first is the default."""
        return (self.slots[handler],) if handler in self.slots else WIDTHS[handler]


def header(text: str) -> dict[str, Any]:
    """The table in a header's comments; lines may begin with ``#`` or ``//``.

    >>> header('# /// script\\n# a = 1\\n# ///\\n'), header('// /// script\\n// a = 2\\n// ///\\n')
    ({'a': 1}, {'a': 2})

    Raises:
        WrongHeader: there is none, or it is no TOML.
    """
    lines = [line.removeprefix("//" if line.startswith("// ") else "#").strip() for line in text.splitlines()]
    try:
        begin = lines.index(BEGIN)
        end = lines.index(END, begin)
        return tomllib.loads("\n".join(lines[begin + 1 : end]))
    except ValueError as error:  # not in the list, or no TOML
        raise WrongHeader(f"there is no header from '{BEGIN}' to '{END}' that is TOML: {error}") from error


def read(program: Path) -> Peer:
    """The peer of a program.

    Raises:
        WrongHeader: its header lacks something.
    """
    try:
        said = header(program.read_text())
        bench = said["tool"]["bench"]
        return Peer(
            key=program.stem.removesuffix("_peer"),
            name=bench["name"],
            program=program,
            dependencies=tuple(said["dependencies"]),
            imports=bench["imports"],
            delivery=bench["delivery"],
            handlers=tuple(bench["handlers"]),
            enqueues=tuple(bench["enqueues"]),
            setting=bench["setting"],
            slots=bench.get("slots", {}),
            keeps_completed=bench.get("keeps_completed", False),
        )
    except KeyError as error:
        raise WrongHeader(f"{program.name}: the header lacks {error}") from error
    except WrongHeader as error:
        raise WrongHeader(f"{program.name}: {error}") from error


def all_peers() -> dict[str, Peer]:
    """Every peer by its key, jobfleet first."""
    peers = [read(program) for pattern in PATTERNS for program in sorted(FOLDER.glob(pattern))]
    return {peer.key: peer for peer in sorted(peers, key=lambda peer: (not peer.is_ours, peer.key))}
