"""What the audit compares: the thumbnails that should be there with those that are."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping

from PIL import Image, UnidentifiedImageError

from photos.darkroom import THUMBNAIL_PIXELS


def compare(
    photo_ids: Iterable[str], report: Mapping[str, Mapping[str, int]], thumbnail: Callable[[str], bytes]
) -> dict[str, object]:
    """Compare what should be with what is.

    `report` is the store's ledger. Gives: `opened` thumbnails that are whole pictures of the right size, `distinct`
    pictures among them (by pixels, not by file), `missing`, `broken`, `never_run`, `run_again` as sorted photo ids,
    and the Unix ms at which the first and the last thumbnail arrived.
    """
    wanted = list(photo_ids)
    arrived = {photo: report["thumbnails"][photo] for photo in wanted if photo in report["thumbnails"]}
    fingerprints: dict[str, str] = {}
    broken = []
    for photo_id in arrived:
        try:
            fingerprints[photo_id] = fingerprint(thumbnail(photo_id))
        except (UnidentifiedImageError, OSError, ValueError):
            broken.append(photo_id)
    runs = report["runs"]
    return {
        "opened": len(fingerprints),
        "distinct": len(set(fingerprints.values())),
        "missing": sorted(set(wanted) - set(arrived)),
        "broken": sorted(broken),
        "never_run": sorted(photo for photo in wanted if not runs.get(photo)),
        "run_again": sorted(photo for photo in wanted if runs.get(photo, 0) > 1),
        "first_ms": min(arrived.values(), default=None),
        "last_ms": max(arrived.values(), default=None),
    }


def fingerprint(content: bytes) -> str:
    """Return a digest of the pixels of a thumbnail.

    Raises ValueError when the picture has not the size of one, PIL.UnidentifiedImageError or OSError when it is broken.
    """
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        if max(image.size) != THUMBNAIL_PIXELS:
            raise ValueError(f"size {image.size}: the longer side should have {THUMBNAIL_PIXELS} pixels.")
        return hashlib.sha256(image.tobytes()).hexdigest()
