"""Log lines of the command line: a constant sentence, then its fields; as text or as one JSON object a line."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Literal

_PLAIN = set(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime", "taskName"}


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """What ``extra=`` added to a record."""
    return {name: value for name, value in record.__dict__.items() if name not in _PLAIN}


class TextFormat(logging.Formatter):
    """``2026-01-31T12:00:00.000Z INFO jobfleet.worker: worker started worker=a slots=4``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback below it where there is one."""
        tail = "".join(f" {name}={value}" for name, value in fields_of(record).items())
        line = f"{_instant(record)} {record.levelname} {record.name}: {record.getMessage()}{tail}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormat(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The object as text."""
        entry = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def _instant(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


installed: tuple[str, str] = ("", "")
"""The form and level in which this process logs, for processes that it starts; empty: as Python has it."""


def install(form: Literal["text", "json"], level: str) -> None:
    """Write all logs to standard error in that form, from that level on."""
    global installed  # noqa: PLW0603 - logging is global itself
    installed = (form, level)
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormat() if form == "json" else TextFormat())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
