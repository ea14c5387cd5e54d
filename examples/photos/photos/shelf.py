"""The shelf: where the store keeps thumbnails and the ledger of runs, as plain files in one folder."""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

PHOTO_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What a photo id may look like; nothing else ever becomes part of a path."""


class Shelf:
    """Thumbnails and runs under one folder; safe to use from many threads of one process."""

    def __init__(self, folder: Path) -> None:
        self._thumbnails = folder / "thumbnails"
        self._ledger = folder / "runs.log"
        self._lock = threading.Lock()
        self._thumbnails.mkdir(parents=True, exist_ok=True)
        self._ledger.touch()

    def record_run(self, photo_id: str) -> None:
        """Note that a handler began to work on `photo_id`; the ledger is on disk when this returns."""
        with self._lock, self._ledger.open("a", encoding="utf-8") as ledger:
            ledger.write(f"{photo_id}\n")

    def put_thumbnail(self, photo_id: str, content: bytes) -> None:
        """Keep a thumbnail. Readers see all of it or nothing of it, whatever dies in between."""
        descriptor, temporary = tempfile.mkstemp(dir=self._thumbnails, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(temporary).replace(self._path(photo_id))
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def thumbnail(self, photo_id: str) -> bytes | None:
        """Return the thumbnail of `photo_id`, or None when there is none."""
        try:
            return self._path(photo_id).read_bytes()
        except FileNotFoundError:
            return None

    def thumbnails(self) -> dict[str, int]:
        """Return photo id -> the Unix ms at which its thumbnail arrived."""
        found = self._thumbnails.glob("*.jpg")
        return {path.stem: path.stat().st_mtime_ns // 1_000_000 for path in sorted(found)}

    def runs(self) -> dict[str, int]:
        """Return photo id -> how many times a handler began to work on it."""
        return dict(Counter(self._ledger.read_text(encoding="utf-8").split()))

    def report(self) -> dict[str, object]:
        """Return all that the shelf knows, ready for JSON."""
        return {"now_ms": time.time_ns() // 1_000_000, "runs": self.runs(), "thumbnails": self.thumbnails()}

    def _path(self, photo_id: str) -> Path:
        if not PHOTO_ID.fullmatch(photo_id):
            raise ValueError(f"photo id {photo_id!r}: use up to 64 letters, digits, '-' and '_'.")
        return self._thumbnails / f"{photo_id}.jpg"
