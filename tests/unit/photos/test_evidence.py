"""The audit sees what is wrong."""

from __future__ import annotations

import io

from photos.evidence import compare
from PIL import Image


def picture(shade: int, width: int = 320) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, 213), (shade, shade, shade)).save(buffer, "JPEG")
    return buffer.getvalue()


def audit(thumbnails: dict[str, bytes], runs: dict[str, int], wanted: str = "123") -> dict[str, object]:
    report = {"runs": runs, "thumbnails": {photo: 1000 + int(photo) for photo in thumbnails}}
    return compare(wanted, report, thumbnails.__getitem__)


def test_all_is_well() -> None:
    found = audit({"1": picture(10), "2": picture(90), "3": picture(170)}, {"1": 1, "2": 1, "3": 1})
    assert found == {
        "opened": 3,
        "distinct": 3,
        "missing": [],
        "broken": [],
        "never_run": [],
        "run_again": [],
        "first_ms": 1001,
        "last_ms": 1003,
    }


def test_two_equal_pictures_are_one_distinct_picture() -> None:
    found = audit({"1": picture(10), "2": picture(10), "3": picture(90)}, {"1": 1, "2": 1, "3": 1})
    assert (found["opened"], found["distinct"]) == (3, 2)


def test_broken_missing_twice_and_never_are_told_apart() -> None:
    found = audit({"1": picture(10)[:300], "2": picture(90, width=200)}, {"1": 2, "2": 1})
    assert (found["opened"], found["broken"], found["missing"]) == (0, ["1", "2"], ["3"])
    assert (found["run_again"], found["never_run"]) == (["1"], ["3"])


def test_photographs_of_an_earlier_run_do_not_count() -> None:
    found = audit({"1": picture(10), "9": picture(90)}, {"1": 1, "9": 5}, wanted="1")
    assert (found["opened"], found["run_again"], found["last_ms"]) == (1, [], 1001)
