"""Draw photographs, so that the example needs none: landscapes of six megapixels, every one different.

A photograph depends on its id alone: the same id gives the same picture on every machine with the same Pillow.
"""

from __future__ import annotations

import io
import random
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw

WIDTH, HEIGHT = 3000, 2000
"""Pixels: six megapixels, what a plain camera gives."""

QUALITY = 88
"""JPEG quality of an original."""

GRAIN = 20
"""Strength of the film grain, standard deviation in grey levels; it makes the files as heavy as real photographs."""

RIDGES = 5
"""Mountain ridges between horizon and viewer."""

Colour = tuple[int, int, int]


def draw_jpeg(photo_id: str) -> bytes:
    """Return the photograph `photo_id` as a JPEG file of one to three megabytes."""
    buffer = io.BytesIO()
    draw(photo_id).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def draw(photo_id: str) -> Image.Image:
    """Return the photograph `photo_id`: a sky, a sun, ridges that grow darker, and its number in the corner."""
    # A str seed goes through SHA-512, so that neighbouring ids share nothing.
    rng = random.Random(f"photo {photo_id}")  # noqa: S311 - scenery, no secret
    sky, ground = _colour(rng, 90, 255), _colour(rng, 20, 120)
    image = _gradient(sky, _colour(rng, 120, 255))
    canvas = ImageDraw.Draw(image)
    _sun(canvas, rng)
    for ridge in range(RIDGES):
        _ridge(canvas, rng, depth=(ridge + 1) / RIDGES, far=sky, near=ground)
    canvas.text((60, HEIGHT - 180), f"No. {photo_id}", fill=(255, 255, 255), font_size=120)
    return ImageChops.add(image, _grain(), scale=1, offset=-GRAIN)


def _colour(rng: random.Random, low: int, high: int) -> Colour:
    return (rng.randint(low, high), rng.randint(low, high), rng.randint(low, high))


def _gradient(top: Colour, bottom: Colour) -> Image.Image:
    two_pixels = Image.new("RGB", (1, 2))
    two_pixels.putpixel((0, 0), top)
    two_pixels.putpixel((0, 1), bottom)
    column = two_pixels.resize((1, HEIGHT), Image.Resampling.BILINEAR)
    return column.resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)


def _sun(canvas: ImageDraw.ImageDraw, rng: random.Random) -> None:
    x, y, radius = rng.randint(200, WIDTH - 200), rng.randint(150, HEIGHT // 2), rng.randint(60, 220)
    canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, rng.randint(200, 255), 190))


def _ridge(canvas: ImageDraw.ImageDraw, rng: random.Random, *, depth: float, far: Colour, near: Colour) -> None:
    height = HEIGHT * (0.35 + 0.5 * depth)
    line = [(x, height + rng.randint(-160, 160)) for x in range(0, WIDTH + 200, 200)]
    red, green, blue = (round(a + (b - a) * depth) for a, b in zip(far, near, strict=True))
    canvas.polygon([(0, HEIGHT), *line, (WIDTH, HEIGHT)], fill=(red, green, blue))


@lru_cache(maxsize=1)
def _grain() -> Image.Image:
    """Film grain, made once a process from a seeded tile: noise is the dearest thing to draw."""
    size = 500
    rng = random.Random("grain")  # noqa: S311 - scenery, no secret
    tile = Image.frombytes("L", (size, size), rng.randbytes(size * size))
    tile = tile.point([level * 2 * GRAIN // 255 for level in range(256)])
    grain = Image.new("RGB", (WIDTH, HEIGHT))
    for x in range(0, WIDTH, size):
        for y in range(0, HEIGHT, size):
            grain.paste(Image.merge("RGB", (tile, tile.rotate(90), tile.rotate(180))), (x, y))
    return grain
