"""Floors by the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobfleet_operator import floors
from jobfleet_operator.models import CalendarFloor
from jobfleet_operator.scaling import History, Load, Observation, Policy, decide


def floor(schedule: str, minutes: int = 60, replicas: int = 3, zone: str = "UTC") -> CalendarFloor:
    return CalendarFloor(schedule=schedule, duration_minutes=minutes, min_replicas=replicas, time_zone=zone)


NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def test_of_several_floors_the_largest_counts() -> None:
    found, called = floors.highest([floor("0 12 * * *"), floor("55 11 * * *", replicas=7)], NOON)
    assert (found, called) == (7, "the floor of 7 from 55 11 * * * (UTC) for 60 min")


def test_a_floor_holds_from_its_time_for_its_duration_and_no_longer() -> None:
    holds = lambda at: bool(floors.highest([floor("0 12 * * *", 30)], at)[0])  # noqa: E731
    second = timedelta(seconds=1)
    assert [holds(NOON - second), holds(NOON), holds(NOON + 1799 * second), holds(NOON + 1800 * second)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_it_follows_the_clocks_of_its_time_zone_through_the_year() -> None:
    berlin = floor("0 8 * * *", zone="Europe/Berlin")
    assert floors.highest([berlin], datetime(2026, 1, 15, 7, 0, tzinfo=UTC))[0] == 3
    assert floors.highest([berlin], datetime(2026, 7, 15, 6, 0, tzinfo=UTC))[0] == 3
    assert floors.highest([berlin], datetime(2026, 7, 15, 7, 30, tzinfo=UTC))[0] == 0


@given(st.integers(0, 2 * 365 * 86_400).map(lambda seconds: NOON + timedelta(seconds=seconds)))
def test_a_floor_of_every_hour_always_holds_in_every_zone(now: datetime) -> None:
    assert floors.highest([floor("0 * * * *", 60, zone="America/New_York")], now)[0] == 3


NIGHTS = {  # the last whole hour before the clocks change
    "Europe/Berlin": (datetime(2026, 10, 25, 0, tzinfo=UTC), datetime(2026, 3, 29, 0, tzinfo=UTC)),
    "America/New_York": (datetime(2026, 11, 1, 5, tzinfo=UTC), datetime(2026, 3, 8, 6, tzinfo=UTC)),
    "Australia/Lord_Howe": (
        datetime(2026, 4, 4, 14, tzinfo=UTC),
        datetime(2026, 10, 3, 15, tzinfo=UTC),
    ),
}
MINUTES = {"0": {0}, "30": {30}, "*/15": {0, 15, 30, 45}, "5": {5}}
HOURS = {"*": set(range(24)), "1": {1}, "2": {2}, "1-3": {1, 2, 3}}


@given(
    st.sampled_from(sorted(NIGHTS)), st.sampled_from((0, 1)), st.integers(-300, 300),
    st.sampled_from(sorted(MINUTES)), st.sampled_from(sorted(HOURS)), st.integers(1, 400),
)  # fmt: skip
def test_in_the_night_in_which_the_clocks_change_each_time_counts(
    zone: str, change: int, minutes: int, minute: str, hour: str, duration: int
) -> None:
    now = NIGHTS[zone][change] + timedelta(minutes=minutes)
    times = [time for ago in range(duration) for time in shown(now - timedelta(minutes=ago), ZoneInfo(zone))]
    began = any(time.minute in MINUTES[minute] and time.hour in HOURS[hour] for time in times)
    assert floors.highest([floor(f"{minute} {hour} * * *", duration, zone=zone)], now)[0] == (3 if began else 0)


def shown(moment: datetime, zone: ZoneInfo) -> list[datetime]:
    """What the clocks show, and what they would show had they not left it out."""
    unchanged = (moment - timedelta(days=1)).astimezone(zone) + timedelta(days=1)
    left_out = unchanged.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != unchanged.replace(tzinfo=None)
    return [moment.astimezone(zone), *([unchanged] if left_out else [])]


def test_a_time_that_the_clocks_leave_out_begins_it_as_much_later() -> None:
    berlin = floor("30 2 * * *", 45, zone="Europe/Berlin")
    at = [datetime(2026, 3, 29, 1, 29, tzinfo=UTC), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)]
    assert [floors.highest([berlin], now)[0] for now in at] == [0, 3]


@pytest.mark.parametrize("schedule", ["* * * * * 30", "0 8 * * 1-5 2026", "R(0-59) * * * *", "H 8 * * *"])
def test_what_cron_does_not_have_or_chance_would_decide_is_no_schedule(schedule: str) -> None:
    assert "no cron expression" in floors.problem(floor(schedule))


@pytest.mark.parametrize("schedule", ["0 8 * MAR THU", "0 8 L * *", "0 8 * * 7"])
def test_names_and_the_last_day_are_cron(schedule: str) -> None:
    assert floors.problem(floor(schedule)) == ""


def test_what_cannot_be_understood_is_named_and_what_never_comes_holds_never() -> None:
    assert "'61 8 * * 1', which is no cron expression" in floors.problem(floor("61 8 * * 1"))
    assert "'Mars/Base', which is not known" in floors.problem(floor("0 8 * * 1", zone="Mars/Base"))
    assert floors.highest([floor("0 0 30 2 *")], NOON) == (0, "")


def test_a_floor_raises_the_size_up_to_the_maximum_and_says_so() -> None:
    policy = Policy(max_workers=4)
    raised = decide(Observation(0.0, 0, Load(0), 9, "the floor of 9"), policy, History())
    assert (raised.size, raised.reasons[0]) == (4, "raised to 4 by the floor of 9")
    beyond = decide(Observation(0.0, 0, Load(80), 2, "the floor of 2"), policy, History())
    assert beyond.size == 4
    assert "floor" not in beyond.reasons[0]
