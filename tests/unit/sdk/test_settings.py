"""A queue's settings: one source of defaults, for Python and for the scripts."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from jobfleet.errors import InvalidJob
from jobfleet.scripts.command import Script
from jobfleet.scripts.steering import configure
from jobfleet.settings import BOUNDS, DEFAULTS, NAMES, QueueSettings

LUA = files("jobfleet.scripts") / "lua"


def test_the_scripts_have_the_defaults_of_python() -> None:
    table = re.search(r"^local setting = \{(.*)\}$", Script("settle_and_claim").text, re.MULTILINE)
    assert table is not None
    found = dict(pair.split(" = ") for pair in table[1].split(", "))
    assert found == {name: str(value) if isinstance(value, int) else f"'{value}'" for name, value in DEFAULTS.items()}
    assert f"limits[1] or {DEFAULTS['max_job_bytes']}" in Script("enqueue").text


def test_no_script_spells_a_default_of_its_own() -> None:
    for file in LUA.iterdir():
        text = file.read_text("utf-8")
        assert not re.search(r"limits\[\d+\] or \d", text), file.name
        assert not re.search(r"setting\.\w+ or ", text), file.name


def test_every_setting_that_a_script_reads_exists() -> None:
    read = {name for file in LUA.iterdir() for name in re.findall(r"\bsetting\.(\w+)", file.read_text("utf-8"))}
    assert read <= set(NAMES)


def test_what_is_stored_is_what_is_read() -> None:
    settings = QueueSettings(max_length=7, paused=True, dead_letter="123", rate_count=4, rate_ms=60_000)
    flat = [part for name, value in settings.stored().items() for part in (name.encode(), str(value).encode())]
    assert QueueSettings.read(flat) == settings
    assert QueueSettings.read([*flat, b"of a later version", b"?"]) == settings
    assert QueueSettings.read([]) is None


def test_the_defaults_lie_within_the_bounds() -> None:
    configure("shop", "photos", DEFAULTS)
    assert all(least <= DEFAULTS[name] <= most for name, (least, most) in BOUNDS.items())  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("max_length", -1, "max_length: -1 must be a whole number from 0"),
        ("max_deliveries", 0, "max_deliveries: 0 must be a whole number from 1 to 254"),
        ("max_memory_percent", 101, "max_memory_percent: 101 must be a whole number from 0 to 100"),
        ("rate_count", "5", "rate_count: '5' must be a whole number"),
        ("paused", 2, "paused: 2 must be true or false"),
        ("dead_letter", "No Name", "dead_letter: queue: 'No Name' must be"),
        ("dead_letter", "photos", "'photos' cannot be its own dead-letter queue"),
        ("max_lenght", 1, "max_lenght: no queue has such a setting; there are max_deliveries,"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence(name: str, value: int | str, said: str) -> None:
    with pytest.raises(InvalidJob, match=said):
        configure("shop", "photos", {name: value})
