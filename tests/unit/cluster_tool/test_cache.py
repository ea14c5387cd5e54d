"""Cache keys and builds that happen once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster_tool import cache


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBFLEET_CACHE", str(tmp_path / "cache"))


def test_the_cache_is_where_the_environment_says() -> None:
    assert cache.root({"JOBFLEET_CACHE": "/one"}) == Path("/one")
    assert cache.root({"XDG_CACHE_HOME": "/two"}) == Path("/two/jobfleet")
    assert cache.root({}) == Path("~/.cache/jobfleet").expanduser()


def test_a_key_follows_the_content_of_files_and_not_their_place(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe").write_text("flour")
    assert cache.key("v1", tmp_path / "one") == cache.key("v1", tmp_path / "two")
    (tmp_path / "two" / "recipe").write_text("rye")
    assert cache.key("v1", tmp_path / "one") != cache.key("v1", tmp_path / "two")
    assert cache.key("v1", tmp_path / "one") != cache.key("v2", tmp_path / "one")


def test_where_one_ingredient_ends_and_the_next_begins_counts() -> None:
    assert cache.key("ab", "c") != cache.key("a", "bc")


def test_a_thing_is_built_once(tmp_path: Path) -> None:
    calls: list[Path] = []

    def build(draft: Path) -> None:
        calls.append(draft)
        draft.write_text("done")

    assert cache.build_once(tmp_path / "thing", build).read_text() == "done"
    cache.build_once(tmp_path / "thing", build)
    assert len(calls) == 1


def test_a_build_that_fails_leaves_no_half_of_it_and_is_tried_again(tmp_path: Path) -> None:
    def fail(draft: Path) -> None:
        draft.mkdir()
        (draft / "half").touch()
        raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="power"):
        cache.build_once(tmp_path / "thing", fail)
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == []
    cache.build_once(tmp_path / "thing", lambda draft: draft.mkdir())
    assert (tmp_path / "thing").is_dir()
