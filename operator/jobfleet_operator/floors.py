"""Floors by the calendar: at which times a pool has at least so many workers. Pure."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterError, croniter

from jobfleet_operator.models import CalendarFloor

_FIELDS = 5
_CHANCE = re.compile(r"(?<![a-z])[rh](?![a-z])", re.IGNORECASE)
"""What croniter reads as a random number, or as a hash: a floor would begin at other times each time it is asked."""


def problem(floor: CalendarFloor) -> str:
    """What is wrong with it, as a sentence that names the field; "" when nothing is."""
    if not _is_cron(floor.schedule):
        return (
            f"spec.scaling.floors has the schedule {floor.schedule!r}, which is no cron expression: "
            "write minute, hour, day, month, weekday, such as 0 8 * * 1-5"
        )
    if _zone(floor.time_zone) is None:
        return (
            f"spec.scaling.floors has the timeZone {floor.time_zone!r}, which is not known: "
            "write a name such as Europe/Berlin, or leave it out for UTC"
        )
    return ""


def highest(floors: Sequence[CalendarFloor], now: datetime) -> tuple[int, str]:
    """The largest floor that holds at this moment, and a phrase that names it; (0, "") when none does.

    A floor holds from each time of its schedule, as the clocks of its zone show it, for its duration. A time that is
    shown twice, on the day when they are put back, begins it twice; one that is left out begins it as much later as
    they were put forward.

    >>> workday = CalendarFloor(schedule="0 8 * * 1-5", duration_minutes=600, min_replicas=4, time_zone="Europe/Berlin")
    >>> highest([workday], datetime(2026, 7, 1, 6, 0, tzinfo=UTC))
    (4, 'the floor of 4 from 0 8 * * 1-5 (Europe/Berlin) for 600 min')
    >>> highest([workday], datetime(2026, 7, 1, 5, 59, tzinfo=UTC))
    (0, '')
    """
    holding = [floor for floor in floors if not problem(floor) and _holds(floor, now)]
    if not holding:
        return 0, ""
    floor = max(holding, key=lambda one: one.min_replicas)
    when = f"{floor.schedule} ({floor.time_zone}) for {floor.duration_minutes} min"
    return floor.min_replicas, f"the floor of {floor.min_replicas} from {when}"


def _is_cron(schedule: str) -> bool:
    return len(schedule.split()) == _FIELDS and not _CHANCE.search(schedule) and croniter.is_valid(schedule)


def _holds(floor: CalendarFloor, now: datetime) -> bool:
    zone, duration = _zone(floor.time_zone), timedelta(minutes=floor.duration_minutes)
    # What the clocks show now, and would show had they not been put forward or back since: what they show for a second
    # time, they have shown already.
    looks = (timedelta(0), timedelta(days=1), duration)
    shown = [(now - ago).astimezone(zone).replace(tzinfo=None) + ago for ago in looks]
    times = croniter(floor.schedule, max(shown) + timedelta(microseconds=1))  # the time itself is not before itself
    try:
        while (time := times.get_prev(datetime)) > min(shown) - duration:
            if any(now - duration < moment <= now for moment in _moments(time, zone)):
                return True
    except CroniterError:  # such as 0 0 30 2 *: it never comes
        pass
    return False


def _moments(time: datetime, zone: tzinfo | None) -> list[datetime]:
    """When the clocks of a zone show this time: once, or twice. One that they leave out counts by the clock before."""
    first, second = (time.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return [first, second] if second > first else [first]


def _zone(name: str) -> tzinfo | None:
    if name == "UTC":
        return UTC  # needs no database
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
