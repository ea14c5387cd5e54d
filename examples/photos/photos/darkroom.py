"""What is done to a photograph: bytes in, bytes out. Nothing here knows of queues, files or the network."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from PIL import Image, ImageOps

THUMBNAIL_PIXELS = 320
"""The longer side of a thumbnail."""

QUALITY = 85
"""JPEG quality of a thumbnail."""


class UnknownOperationError(ValueError):
    """The job asks for an operation that the darkroom does not know; the message lists those that it knows."""


def develop(original: bytes, operations: Sequence[str]) -> bytes:
    """Apply `operations` in order to the JPEG `original`; return the result as a JPEG file.

    Raises UnknownOperationError before any work, and PIL.UnidentifiedImageError when `original` is no picture.
    """
    unknown = [operation for operation in operations if operation not in OPERATIONS]
    if unknown:
        raise UnknownOperationError(f"operations: {unknown[0]!r} is unknown; use {', '.join(sorted(OPERATIONS))}.")
    with Image.open(io.BytesIO(original)) as opened:
        image = opened.convert("RGB")
    for operation in operations:
        image = OPERATIONS[operation](image)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _thumbnail(image: Image.Image) -> Image.Image:
    small = image.copy()
    small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), Image.Resampling.LANCZOS)
    return small


OPERATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "autocontrast": ImageOps.autocontrast,
    "grayscale": ImageOps.grayscale,
    "mirror": ImageOps.mirror,
    "thumbnail": _thumbnail,
}
