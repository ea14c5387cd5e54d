"""Floors by the calendar: at which times a pool has at least so many workers. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterError, croniter

from jobfleet_operator.models import CalendarFloor


def problem(floor: CalendarFloor) -> str:
    """What is wrong with it, as a sentence that names the field; "" when nothing is."""
    if not croniter.is_valid(floor.schedule):
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

    A floor holds from each time of its schedule for its duration. On a day when a clock is put forward or
    back it holds as long by the sun as on any other.

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


def _holds(floor: CalendarFloor, now: datetime) -> bool:
    local = now.astimezone(_zone(floor.time_zone))
    try:
        # One microsecond later, because the time itself is not before itself.
        began: datetime = croniter(floor.schedule, local + timedelta(microseconds=1)).get_prev(datetime)
    except CroniterError:  # such as 0 0 30 2 *: it never comes
        return False
    return now - began.astimezone(UTC) < timedelta(minutes=floor.duration_minutes)


def _zone(name: str) -> tzinfo | None:
    if name == "UTC":
        return UTC  # needs no database
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
