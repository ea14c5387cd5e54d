"""The photo store, an HTTP service that hands out originals and keeps thumbnails: `python -m photos.store`.

GET  /originals/<id>.jpg     the photograph, drawn when it is asked for
PUT  /thumbnails/<id>.jpg    keeps a thumbnail
GET  /thumbnails/<id>.jpg    gives it back
POST /runs/<id>              notes that a handler began to work on a photograph
GET  /report                 runs and thumbnails, as JSON
GET  /contact-sheet.jpg      all thumbnails in one picture
GET  /healthz                200 while it serves
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from photos.contact_sheet import contact_sheet
from photos.draw import draw_jpeg
from photos.shelf import PHOTO_ID, Shelf

PORT = 8000

LARGEST_THUMBNAIL = 4 * 1024 * 1024
"""Bytes; a larger upload is refused."""

DRAWERS = 2
"""Photographs drawn at the same time; more would only hold more pictures in memory."""

ROUTE = re.compile(rf"/(originals|thumbnails|runs)/({PHOTO_ID.pattern})(?:\.jpg)?")


class Store(ThreadingHTTPServer):
    """The service: one thread a connection, one shelf, a few drawers."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], shelf: Shelf) -> None:
        super().__init__(address, Handler)
        self.shelf = shelf
        self.drawing = threading.Semaphore(DRAWERS)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Store
    timeout = 30

    def do_GET(self) -> None:
        """Originals, thumbnails, the report, the contact sheet."""
        match self._route():
            case ("originals", photo_id):
                with self.server.drawing:
                    original = draw_jpeg(photo_id)
                self._answer(HTTPStatus.OK, original, "image/jpeg")
            case ("thumbnails", photo_id):
                thumbnail = self.server.shelf.thumbnail(photo_id)
                if thumbnail is None:
                    self._say(HTTPStatus.NOT_FOUND, f"There is no thumbnail of photo {photo_id} yet.")
                else:
                    self._answer(HTTPStatus.OK, thumbnail, "image/jpeg")
            case ("page", "/report"):
                body = json.dumps(self.server.shelf.report()).encode()
                self._answer(HTTPStatus.OK, body, "application/json")
            case ("page", "/contact-sheet.jpg"):
                self._answer(HTTPStatus.OK, contact_sheet(self.server.shelf), "image/jpeg")
            case ("page", "/healthz"):
                self._say(HTTPStatus.OK, "serving")
            case _:
                self._unknown()

    def do_PUT(self) -> None:
        """Keep a thumbnail."""
        match self._route():
            case ("thumbnails", photo_id):
                length = int(self.headers.get("Content-Length") or 0)
                if not 0 < length <= LARGEST_THUMBNAIL:
                    self._say(HTTPStatus.BAD_REQUEST, f"Send 1 to {LARGEST_THUMBNAIL} bytes and say how many.")
                    return
                content = self.rfile.read(length)
                if len(content) != length:
                    self._say(HTTPStatus.BAD_REQUEST, "The upload ended early; send it again.")
                    return
                self.server.shelf.put_thumbnail(photo_id, content)
                self._answer(HTTPStatus.NO_CONTENT)
            case _:
                self._unknown()

    def do_POST(self) -> None:
        """Note a run."""
        match self._route():
            case ("runs", photo_id):
                self.server.shelf.record_run(photo_id)
                self._answer(HTTPStatus.NO_CONTENT)
            case _:
                self._unknown()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing for every request: the ledger is the log."""

    def _route(self) -> tuple[str, str]:
        found = ROUTE.fullmatch(self.path)
        return (found[1], found[2]) if found else ("page", self.path)

    def _unknown(self) -> None:
        self._say(HTTPStatus.NOT_FOUND, f"{self.command} {self.path} is nothing that the store knows.")

    def _say(self, status: HTTPStatus, sentence: str) -> None:
        self._answer(status, (sentence + "\n").encode(), "text/plain; charset=utf-8")

    def _answer(self, status: HTTPStatus, body: bytes = b"", content_type: str | None = None) -> None:
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until SIGTERM."""
    shelf = Shelf(Path(os.environ.get("PHOTO_STORE_FOLDER", "/photos")))
    store = Store(("", PORT), shelf)
    # shutdown() waits for serve_forever(), so it must not run in the thread that serves.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=store.shutdown).start())
    print(f"The photo store serves on port {PORT}.", flush=True)
    store.serve_forever()


if __name__ == "__main__":
    main()
