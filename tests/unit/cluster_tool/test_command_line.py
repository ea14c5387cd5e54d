"""Mistakes at the command line get a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster_tool.__main__ import main


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBFLEET_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["up", "--workers", "10"], "10 is not between 0 and 9"),
        (["up", "--workers", "many"], "invalid"),
        (["up", "--name", "Not_A_Name"], "'Not_A_Name' is no name"),
        (["build", "localhost/x:1", "--build-arg", "BASE"], "'BASE' is not NAME=VALUE"),
        (["path", "minikube"], "invalid choice: 'minikube'"),
        (["load"], "IMAGE_ARCHIVE"),
        ([], "command"),
    ],
)
def test_wrong_words_are_refused_and_named(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["kubeconfig", "--name", "nobody"], "bring it up with `up --name nobody`"),
        (["load", "image.tar", "--name", "nobody"], "bring it up with `up --name nobody`"),
        (["api", "kubeconfig", "--name", "nobody"], "start it with `api up --name nobody`"),
        (["build", "localhost/x:1", "--context", "/no/such/folder"], "/no/such/folder/Dockerfile does not exist"),
    ],
)
def test_what_is_not_there_is_named_with_the_remedy(
    words: list[str], remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    said = capsys.readouterr()
    assert remedy in said.err
    assert said.out == ""
