"""What fails lastingly is said once, and once more when it is over."""

from __future__ import annotations

import logging

import pytest

from jobfleet_operator.adapters.reach import Reach


def test_what_lasts_is_said_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = [0.0]
    reach = Reach(lambda: now[0])
    for _ in range(60):
        reach.note("writes", "Unauthorized")
        reach.note("reads")
        now[0] += 1.0
    assert reach.trouble() == "writes fail for 60 s: Unauthorized"
    reach.note("writes")
    assert reach.trouble() == ""
    assert [record.message for record in caplog.records] == [
        "Kubernetes: writes fail for 10 s: Unauthorized",
        "Kubernetes: writes work again after 60 s",
    ]


def test_what_is_over_soon_is_not_worth_a_word(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    reach = Reach(lambda: 5.0)
    reach.note("writes", "Unauthorized")
    assert reach.trouble() == ""
    reach.note("writes")
    assert not caplog.records
