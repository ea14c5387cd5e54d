"""Photographs are different, and thumbnails are made of them."""

from __future__ import annotations

import io

import pytest
from photos.darkroom import UnknownOperationError, develop
from photos.draw import draw_jpeg
from PIL import Image, UnidentifiedImageError


@pytest.fixture(scope="module")
def original() -> bytes:
    return draw_jpeg("7")


def size(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image.size


def test_a_photograph_has_six_megapixels(original: bytes) -> None:
    assert size(original) == (3000, 2000)


def test_the_same_id_gives_the_same_photograph_and_another_id_another(original: bytes) -> None:
    assert draw_jpeg("7") == original
    assert draw_jpeg("8") != original


def test_a_thumbnail_is_small_and_keeps_the_proportions(original: bytes) -> None:
    thumbnail = develop(original, ["autocontrast", "thumbnail"])
    assert size(thumbnail) == (320, 213)
    assert len(thumbnail) < 60_000


def test_operations_run_in_their_order(original: bytes) -> None:
    with Image.open(io.BytesIO(develop(original, ["thumbnail", "grayscale"]))) as image:
        assert (image.mode, image.size) == ("L", (320, 213))


def test_an_unknown_operation_is_named_with_those_that_exist() -> None:
    with pytest.raises(UnknownOperationError, match=r"operations: 'sepia' is unknown; use autocontrast, grayscale"):
        develop(b"", ["thumbnail", "sepia"])


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(UnidentifiedImageError):
        develop(b"not a picture", ["thumbnail"])
