"""How workers and the audit speak with the photo store: plain HTTP, one bounded try; the queue does the retrying."""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any

TIMEOUT_SECONDS = 20
"""For one request; the queue gives the job another attempt when it passes."""


class StoreClient:
    """The photo store behind `PHOTO_STORE_URL` (default `http://photo-store:8000`).

    Every method raises OSError (URLError, HTTPError, TimeoutError) when the store does not answer as it should.
    """

    def __init__(self, url: str | None = None) -> None:
        self._url = (url or os.environ.get("PHOTO_STORE_URL", "http://photo-store:8000")).rstrip("/")

    def original(self, photo_id: str) -> bytes:
        """Return the photograph as a JPEG file."""
        return self._ask("GET", f"/originals/{photo_id}.jpg")

    def record_run(self, photo_id: str) -> None:
        """Note that a handler began to work on `photo_id`."""
        self._ask("POST", f"/runs/{photo_id}", b"")

    def put_thumbnail(self, photo_id: str, content: bytes) -> str:
        """Keep a thumbnail; return its URL."""
        path = f"/thumbnails/{photo_id}.jpg"
        self._ask("PUT", path, content)
        return self._url + path

    def thumbnail(self, photo_id: str) -> bytes:
        """Return the thumbnail as a JPEG file."""
        return self._ask("GET", f"/thumbnails/{photo_id}.jpg")

    def report(self) -> dict[str, Any]:
        """Return runs and thumbnails; see photos.shelf.Shelf.report."""
        report: dict[str, Any] = json.loads(self._ask("GET", "/report"))
        return report

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(self._url + path, data=body, method=method)  # noqa: S310 - our own URL
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            content: bytes = answer.read()
            return content
