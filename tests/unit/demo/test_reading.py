"""What the demo reads from kubectl and from the logs of Pods."""

from __future__ import annotations

import json

import pytest
from photo_demo.errors import DemoError
from photo_demo.kubectl import last_json_line
from photo_demo.pod_watch import events
from photo_demo.times import Times


def test_every_line_of_a_watch_is_an_event() -> None:
    seen = [{"type": "ADDED", "object": {"metadata": {"name": "a"}}}, {"type": "DELETED"}]
    assert list(events(f"{json.dumps(event)}\n" for event in seen)) == seen


def test_the_last_line_of_a_log_counts() -> None:
    assert last_json_line('starting\n{"a": 1}\n{"a": 2}\n') == {"a": 2}


@pytest.mark.parametrize("log", ["", "Traceback: no such thing\n", '{"a": 1}\nbye\n', "17\n"])
def test_a_log_without_a_result_is_shown(log: str) -> None:
    with pytest.raises(DemoError, match=r"does not end in a line of JSON") as error:
        last_json_line(log)
    assert log.strip() in str(error.value)


def test_times_are_told_or_said_to_have_never_come() -> None:
    times = Times(
        applied_ms=1_000,
        enqueued_ms=2_000,
        first_pod_ms=2_400,
        first_completion_ms=5_000,
        last_completion_ms=None,
        no_workers_ms=60_000,
    )
    told = {line.rsplit("  ", 1)[0].strip(): line.rsplit("  ", 1)[1].strip() for line in times.lines()}
    assert told["kubectl apply -> first worker Pod"] == "1.4 s"
    assert told["enqueue -> first worker Pod"] == "0.4 s"
    assert told["enqueue -> first completion"] == "3.0 s"
    assert [line for line in times.lines() if line.endswith("never")] != []
