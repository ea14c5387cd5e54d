"""Image archives are written without an engine and read back."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from cluster_tool import archive
from cluster_tool.errors import ClusterToolError


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    (tmp_path / "hello").write_text("hello")
    with tarfile.open(tmp_path / "layer.tar", "w") as tar:
        tar.add(tmp_path / "hello", "hello")
    return tmp_path / "layer.tar"


def test_an_archive_tells_the_names_and_ids_of_its_images(tmp_path: Path, layer: Path) -> None:
    archive.write(tmp_path / "image.tar", "localhost/hello:1", layer, {"Cmd": ["sh"]})
    ((name, identity),) = archive.contents(tmp_path / "image.tar").items()
    assert name == "localhost/hello:1"
    with tarfile.open(tmp_path / "image.tar") as tar:
        config = tar.extractfile(f"{identity.removeprefix('sha256:')}.json")
        assert config is not None
        settings = json.load(config)
    assert settings["config"]["Cmd"] == ["sh"]
    assert len(settings["history"]) == len(settings["rootfs"]["diff_ids"]) == 1


def test_the_id_of_an_image_follows_its_settings(tmp_path: Path, layer: Path) -> None:
    archive.write(tmp_path / "one.tar", "localhost/hello:1", layer, {"Cmd": ["sh"]})
    archive.write(tmp_path / "two.tar", "localhost/hello:1", layer, {"Cmd": ["bash"]})
    assert archive.contents(tmp_path / "one.tar") != archive.contents(tmp_path / "two.tar")


def test_a_file_that_is_no_archive_is_named(tmp_path: Path, layer: Path) -> None:
    for wrong in (tmp_path / "hello", layer, tmp_path / "nothing"):
        with pytest.raises(ClusterToolError, match=f"{wrong} is no image archive"):
            archive.contents(wrong)
