"""Which Docker engine is chosen, and why."""

from __future__ import annotations

import pytest

from cluster_tool.engine import EngineKind
from cluster_tool.engine_choice import Machine, choose
from cluster_tool.errors import ClusterToolError, MissingPartError

LAPTOP = Machine(engine_answers=True, linux=False, root=False)
BARE_ROOT = Machine(engine_answers=False, linux=True, root=True)
BARE_USER = Machine(engine_answers=False, linux=True, root=False)


def test_an_engine_that_answers_is_used_also_by_root() -> None:
    for machine in (LAPTOP, Machine(engine_answers=True, linux=True, root=True)):
        assert choose(machine).kind is EngineKind.EXISTING


def test_root_on_linux_without_an_engine_gets_a_private_one_and_is_told_why() -> None:
    choice = choose(BARE_ROOT)
    assert choice.kind is EngineKind.PRIVATE
    assert "no Docker engine answers" in choice.reason


@pytest.mark.parametrize("machine", [BARE_USER, Machine(engine_answers=False, linux=False, root=True)])
def test_without_an_engine_and_without_root_on_linux_the_error_names_the_command_that_helps(machine: Machine) -> None:
    with pytest.raises(MissingPartError, match=r"apt-get install docker\.io"):
        choose(machine)


def test_a_wish_for_a_private_engine_goes_past_one_that_answers() -> None:
    assert choose(Machine(engine_answers=True, linux=True, root=True), "private").kind is EngineKind.PRIVATE


def test_a_wish_for_an_existing_engine_never_starts_a_private_one() -> None:
    with pytest.raises(MissingPartError):
        choose(BARE_ROOT, "existing")


def test_a_wish_that_is_no_word_is_refused_with_the_words_that_are() -> None:
    with pytest.raises(ClusterToolError, match="existing or private"):
        choose(LAPTOP, "podman")
