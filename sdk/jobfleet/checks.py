"""What single values must be: each check returns the value, or names the field and says what it may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobfleet.errors import MAX_DELAY_SECONDS, InvalidJob


def whole(name: str, value: object, least: int, most: int) -> int:
    """A whole number within bounds.

    >>> whole("limit", 5, 0, 10)
    5

    Raises:
        InvalidJob: it is none; ``True`` and ``False`` are none either.
    """
    if not isinstance(value, int) or not _is_within(value, least, most):
        raise InvalidJob(name, f"{value!r:.80} must be a whole number from {least} to {most}")
    return value


def number(name: str, value: object, least: float, most: float, *, what: str = "a number", named: str = "") -> float:
    """A number within bounds; ``what`` it counts, and how its most is ``named``, are for the sentence.

    >>> number("jitter", 0.5, 0, 1)
    0.5

    Raises:
        InvalidJob: it is none; NaN is none either.
    """
    if not isinstance(value, int | float) or not _is_within(value, least, most):
        raise InvalidJob(name, f"{value!r:.80} must be {what} from {least} to {named or most}")
    return value


def seconds(name: str, value: object, least: float = 0) -> float:
    """A wait, in seconds.

    >>> seconds("delay", 30)
    30

    Raises:
        InvalidJob: it is none, is below ``least``, or longer than anything may be put off.
    """
    if not isinstance(value, int | float) or not _is_within(value, least, MAX_DELAY_SECONDS):
        raise InvalidJob(name, f"{value!r:.80} must be seconds from {least} to {MAX_DELAY_SECONDS} (ten years)")
    return value


def text(name: str, value: object, most: int) -> str:
    """Visible text that is not empty.

    >>> text("group", "tenant-7", 128)
    'tenant-7'

    Raises:
        InvalidJob: it has more than ``most`` characters, or one that is not to be seen.
    """
    if (
        not isinstance(value, str)
        or not 1 <= len(value) <= most
        or any(c.isspace() or not c.isprintable() for c in value)
    ):
        raise InvalidJob(name, f"{value!r:.300} must be 1 to {most} printable characters without spaces")
    return value


def mapping(name: str, value: object) -> Mapping[str, Any]:
    """Values by name.

    >>> mapping("args", {"photo": 7})
    {'photo': 7}

    Raises:
        InvalidJob: it is no mapping.
    """
    if not isinstance(value, Mapping):
        raise InvalidJob(name, f"{value!r:.80} must be a mapping of names to values")
    return value


def truth(name: str, value: object) -> bool:
    """A switch; text is none, for ``"no"`` would count as true.

    >>> truth("force", True)
    True

    Raises:
        InvalidJob: it is neither true nor false.
    """
    if value not in (True, False):  # 1 and 0 are as good
        raise InvalidJob(name, f"{value!r:.80} must be true or false")
    return bool(value)


def _is_within(value: float, least: float, most: float) -> bool:
    return least <= value <= most and not isinstance(value, bool)
