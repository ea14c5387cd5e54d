from __future__ import annotations

from pathlib import Path

import pytest
from bench import environments
from bench.peer import OURS, WrongHeader, all_peers, header, read

SHAPES = {"bulk", "concurrent", "one_async", "one_sync", "deep"}


def test_every_program_of_a_peer_has_a_whole_header() -> None:
    peers = all_peers()
    assert next(iter(peers)) == OURS
    assert {"bullmq", "dramatiq", "arq", "saq", "celery", "huey", "taskiq"} <= peers.keys()
    for peer in peers.values():
        assert set(peer.handlers) <= {"async", "sync"}
        assert peer.handlers
        assert set(peer.enqueues) <= SHAPES
        assert "bulk" in peer.enqueues, "every measure preloads its queue in bulk"


def test_every_package_is_pinned_to_one_version() -> None:
    for peer in all_peers().values():
        for spec in peer.dependencies:
            name, pin, version = spec.rpartition("@" if peer.is_node else "==")
            assert name, f"{peer.key}: {spec}"
            assert pin, f"{peer.key}: {spec}"
            assert version[0].isdigit(), f"{peer.key}: {spec}"


def test_a_header_that_lacks_a_field_is_refused_by_name(tmp_path: Path) -> None:
    program = tmp_path / "odd_peer.py"
    program.write_text('# /// script\n# dependencies = []\n# [tool.bench]\n# name = "odd"\n# ///\n')
    with pytest.raises(WrongHeader, match=r"odd_peer\.py: the header lacks 'imports'"):
        read(program)


def test_a_program_without_a_header_is_refused() -> None:
    with pytest.raises(WrongHeader, match="no header"):
        header("print(1)\n")


def test_other_packages_make_another_environment(tmp_path: Path) -> None:
    peer = all_peers()["huey"]
    text = peer.program.read_text()
    other = tmp_path / "huey_peer.py"
    other.write_text(text.replace(peer.version, "0.0.1"))
    assert environments.folder(read(other)) != environments.folder(peer)


def test_the_cache_is_where_the_environment_says(tmp_path: Path) -> None:
    assert environments.cache_folder({"JOBFLEET_CACHE": str(tmp_path)}) == tmp_path / "bench"
    assert environments.cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "jobfleet" / "bench"
