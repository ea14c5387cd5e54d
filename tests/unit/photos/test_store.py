"""The photo store, over real HTTP."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError

import pytest
from photos.draw import draw_jpeg
from photos.shelf import Shelf
from photos.store_client import StoreClient
from PIL import Image


def test_an_original_is_drawn_when_it_is_asked_for(store: StoreClient) -> None:
    assert store.original("3") == draw_jpeg("3")


def test_a_thumbnail_comes_back_as_it_was_put(store: StoreClient) -> None:
    assert store.put_thumbnail("3", b"picture").endswith("/thumbnails/3.jpg")
    assert store.thumbnail("3") == b"picture"
    assert list(store.report()["thumbnails"]) == ["3"]


def test_a_missing_thumbnail_is_not_found(store: StoreClient) -> None:
    with pytest.raises(HTTPError) as refused:
        store.thumbnail("3")
    with refused.value as answer:
        assert (answer.code, answer.read()) == (404, b"There is no thumbnail of photo 3 yet.\n")


def test_runs_are_counted_each_also_when_many_come_at_once(store: StoreClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.record_run, ["1", "2"] * 40))
    assert store.report()["runs"] == {"1": 40, "2": 40}


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.original("../../etc/passwd"),
        lambda store: store.put_thumbnail("a/b", b"x"),
        lambda store: store.put_thumbnail("..", b"x"),
        lambda store: store.record_run("%2e%2e"),
    ],
)
def test_an_id_never_becomes_a_path(store: StoreClient, ask: Callable[[StoreClient], object]) -> None:
    with pytest.raises(HTTPError) as refused:
        ask(store)
    with refused.value as answer:
        assert answer.code == 404


def test_an_empty_upload_is_refused(store: StoreClient) -> None:
    with pytest.raises(HTTPError) as refused:
        store.put_thumbnail("1", b"")
    with refused.value as answer:
        assert answer.code == 400
    assert not store.report()["thumbnails"]


def test_the_shelf_survives_its_process(tmp_path: Path) -> None:
    first = Shelf(tmp_path)
    first.record_run("1")
    first.put_thumbnail("1", b"picture")
    second = Shelf(tmp_path)
    assert second.runs() == {"1": 1}
    assert second.thumbnail("1") == b"picture"
    assert json.dumps(second.report())


def test_the_contact_sheet_shows_what_is_there(store: StoreClient) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (320, 213), (200, 30, 30)).save(buffer, "JPEG")
    for photo_id in ("1", "2", "3"):
        store.put_thumbnail(photo_id, buffer.getvalue())
    with Image.open(io.BytesIO(store._ask("GET", "/contact-sheet.jpg"))) as sheet:
        assert sheet.size == (192, 128)
        red, green, blue = sheet.convert("RGB").getpixel((48, 96))
    assert (red > 150, green < 80, blue < 80) == (True, True, True)
