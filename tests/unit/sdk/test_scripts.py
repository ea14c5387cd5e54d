"""Header and body of every Lua file are held together, and so are the header of a record and who reads it."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from jobfleet.scripts.command import Script

LUA = files("jobfleet.scripts") / "lua"
VERBS = sorted(f.name.removesuffix(".lua") for f in LUA.iterdir() if f.name.endswith(".lua") and f.name[0] != "_")


def test_every_verb_of_the_design_has_its_file() -> None:
    assert {"enqueue", "settle_and_claim", "heartbeat", "reclaim", "promote", "retire", "inspect"} <= set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_the_header_names_the_verb_every_key_and_the_return_value(verb: str) -> None:
    text = re.sub(r"^#!lua flags=.*\n", "", (LUA / f"{verb}.lua").read_text())
    header = re.match(r"(--.*\n)+", text)[0]  # type: ignore[index]
    assert text.startswith(f"-- {verb}: ")
    assert re.search(r"^-- returns ", text, re.MULTILINE)
    described: set[int] = set()
    for first, last in re.findall(r"^-- KEYS\[(\d+)(?:\.\.)?(\d*)\]", header, re.MULTILINE):
        described |= set(range(int(first), int(last or first) + 1))
    body = text[len(header) :]
    used = {int(n) for n in re.findall(r"KEYS\[(\d+)\]", body)}
    assert used <= described
    assert described == set(range(1, max(described) + 1))


@pytest.mark.parametrize("verb", VERBS)
def test_no_script_builds_a_key(verb: str) -> None:
    assert "jf:" not in Script(verb).text


def test_includes_are_put_in_and_change_the_sha() -> None:
    script = Script("enqueue")
    assert "--@include" not in script.text
    assert "local function now_ms()" in script.text
    assert len(script.sha) == 40


def test_only_what_somebody_does_can_leave_an_entry_in_the_audit() -> None:
    acting = {verb for verb in VERBS if "--@include _audit" in (LUA / f"{verb}.lua").read_text()}
    assert acting == {
        "cancel", "clean", "close_circuit", "configure", "discard", "drain", "forwarded", "group", "mend", "purge",
        "reclaim", "record", "retry", "undrain",
    }  # fmt: skip
