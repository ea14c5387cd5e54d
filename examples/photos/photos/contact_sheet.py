"""All thumbnails in one picture, for people who believe what they see."""

from __future__ import annotations

import io
import math

from PIL import Image

from photos.shelf import Shelf

CELL = (96, 64)
"""Pixels of one thumbnail on the sheet."""

MOST = 1000
"""Thumbnails on a sheet; further ones are left out."""


def contact_sheet(shelf: Shelf) -> bytes:
    """Return a JPEG with every thumbnail of `shelf`, about as many columns as rows, in order of their ids."""
    photo_ids = sorted(shelf.thumbnails(), key=lambda name: (len(name), name))[:MOST]
    columns = max(1, math.ceil(math.sqrt(len(photo_ids))))
    rows = max(1, math.ceil(len(photo_ids) / columns))
    sheet = Image.new("RGB", (columns * CELL[0], rows * CELL[1]), (24, 24, 24))
    for place, photo_id in enumerate(photo_ids):
        content = shelf.thumbnail(photo_id)
        if content is None:
            continue
        with Image.open(io.BytesIO(content)) as thumbnail:
            small = thumbnail.convert("RGB").resize(CELL)
        sheet.paste(small, (place % columns * CELL[0], place // columns * CELL[1]))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
