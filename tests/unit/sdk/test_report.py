"""A report arrives whole and in order, whatever is lost on the way and whenever it is taken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobfleet.report import LOG_BYTES, Report


@given(st.lists(st.sampled_from(["tell", "take", "lose"]), max_size=60))
def test_every_line_is_taken_once_and_in_order_though_answers_get_lost(steps: list[str]) -> None:
    report, told, arrived = Report("a", 1), 0, []
    for step in [*steps, "take"]:
        if step == "tell":
            report.add(b"%d" % told, [b"%d\n" % told])
            told += 1
            continue
        sent = report.told()
        numbers = sent.lines.split()
        arrived += [int(number) for n, number in enumerate(numbers) if sent.first + n >= len(arrived)]
        if told:
            assert sent.progress in (b"", b"%d" % (told - 1))
        if step == "take":
            report.taken(sent)
            assert report.empty
    assert arrived == list(range(told))


def test_what_is_told_while_the_rest_is_under_way_stays() -> None:
    report = Report("a", 1)
    report.add(b"old", [b"0\n"])
    sent = report.told()
    report.add(b"new", [b"1\n"])
    report.taken(sent)
    assert report.told() == (b"new", b"1\n", 1)


def test_a_flood_keeps_its_newer_half_and_its_numbers() -> None:
    report = Report("a", 1)
    for n in range(100_000):
        report.add(b"", [b"%06d\n" % n])
        assert n % 1000 or len(report.told().lines) <= LOG_BYTES
    _, lines, first = report.told()
    assert LOG_BYTES // 2 <= len(lines) <= LOG_BYTES
    assert lines.split() == [b"%06d" % n for n in range(first, 100_000)]


def test_lines_behind_a_gap_stand_alone() -> None:
    report = Report("a", 1)
    report.add(b"", [b"0\n", b"1\n"], 0)
    report.add(b"", [b"5\n"], 5)
    assert report.told() == (b"", b"5\n", 5)


def test_a_closed_report_keeps_nothing() -> None:
    report = Report("a", 1)
    report.add(b"1", [b"0\n"])
    report.close()
    assert report.empty
