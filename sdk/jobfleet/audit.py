"""Who did what to a queue, and why: what goes with each act, and the entries that are read back. Pure.

The scripts append an entry where they act (``scripts/lua/_audit.lua``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from jobfleet.plain import cut, plain

WHO_BYTES: Final = 200
WHY_BYTES: Final = 500
WORDS_BYTES: Final = 300


@dataclass(frozen=True, slots=True)
class Author:
    r"""Who acts, and why. Both may be any text: what a terminal would act on is spelt out, and what is too long is cut.

    Attributes:
        words: about what is done, beside what the script that does it says.
        goes_on: this call is a further part of what the author's last one began.

    >>> Author("ann@desk", "ticket 7").about("kind=OSError").packed()
    b'ann@desk\nticket 7\nkind=OSError\n'
    """

    who: str
    why: str = ""
    words: str = ""
    goes_on: bool = False

    def about(self, words: str, *, goes_on: bool = False) -> Self:
        """The same author, with words."""
        return replace(self, words=words, goes_on=goes_on)

    def packed(self) -> bytes:
        """As the scripts take it; never empty."""
        texts = (self.who or UNKNOWN, WHO_BYTES), (self.why, WHY_BYTES), (self.words, WORDS_BYTES)
        return "\n".join([*(cut(plain(text), most) for text, most in texts), "+" if self.goes_on else ""]).encode()


UNKNOWN: Final = "unknown"
NOBODY: Final = Author(UNKNOWN)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act.

    Attributes:
        id: orders the entries of a queue.
        at_ms: when, by Redis' clock, Unix ms; of an act in several parts, the last one's.
        who: as its author calls itself.
        verb: pause, resume, configure, group, cancel, retry, discard, clean, mend, purge, forward, close-circuit,
            drain, undrain, resize, and the operator's scale and reclaim.
        count: how many jobs it was done to (of drain, undrain, resize and scale: workers); 0: none, or it is about the
            queue.
        what: the first few ids, settings as ``name old->new``, or which jobs were meant.
        why: what its author said; may be empty.
    """

    id: str
    at_ms: int
    who: str
    verb: str
    count: int
    what: str
    why: str


def unpack_entries(raw: Sequence[tuple[bytes, Sequence[bytes]]]) -> list[AuditEntry]:
    """The entries as Redis gives them. Their texts are made harmless again: others may write to a Redis."""
    return [_entry(entry_id.decode(), fields) for entry_id, fields in raw]


def _entry(entry_id: str, fields: Sequence[bytes]) -> AuditEntry:
    texts = [plain(field.decode(errors="replace")) for field in fields]
    said = dict(zip(texts[::2], texts[1::2], strict=True))
    count = said.get("count", "")
    return AuditEntry(
        id=entry_id,
        at_ms=int(entry_id.partition("-")[0]),
        who=said.get("who", UNKNOWN),
        verb=said.get("verb", ""),
        count=int(count) if count.isascii() and count.isdigit() else 0,
        what=said.get("what", ""),
        why=said.get("why", ""),
    )
