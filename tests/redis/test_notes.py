"""What a running attempt tells, as the scripts keep it: fenced, bounded, each line once."""

from __future__ import annotations

import pytest

from fixtures.verbs import QUEUE, REALM, Queue, done, new
from jobfleet import JobLog, Seal
from jobfleet.report import LOG_BYTES, LOG_HEAD, log_lines, pack_progress
from jobfleet.scripts import looking, processing
from jobfleet.scripts.processing import Note


def lines(*texts: str, attempt: int = 1) -> bytes:
    return b"".join(log_lines(1_700_000_000_000, attempt, text)[0] for text in texts)


async def tell(queue: Queue, told: Note, worker: str = "w1", seal: Seal | None = None) -> bool:
    return await queue.client.run(processing.note(REALM, QUEUE, worker, told, seal=seal or Seal()))


async def log(queue: Queue, job_id: str = "a", start: int = 0, limit: int = 1000) -> JobLog:
    return await queue.client.run(looking.read_log(REALM, QUEUE, job_id, start, limit))


async def texts(queue: Queue, start: int = 0, limit: int = 1000) -> list[str]:
    return [line.text for line in (await log(queue, "a", start, limit)).lines]


@pytest.fixture
async def running(queue: Queue) -> Queue:
    """Job ``a`` runs on worker ``w1``."""
    await queue.enqueue(new("a"))
    assert await queue.claim(1) == ["a"]
    return queue


async def test_progress_and_log_are_kept_and_those_of_a_lost_attempt_refused(running: Queue) -> None:
    told = Note("a", 1, pack_progress({"percent": 50}), lines("one"))
    assert await tell(running, told)
    view = await running.look("a")
    assert view is not None
    assert view.progress == {"percent": 50}
    assert await texts(running) == ["one"]
    assert not await tell(running, Note("a", 1, lines=lines("x")), worker="w2")
    assert not await tell(running, Note("a", 2, pack_progress(99), lines("late")))
    await running.exchange("w1", 0, done("a"))
    assert not await tell(running, Note("a", 1, pack_progress(99), lines("after its end"), first=1))
    view = await running.look("a")
    assert view is not None
    assert view.progress == {"percent": 50}
    assert await texts(running) == ["one"]


async def test_a_note_sent_again_after_a_lost_answer_adds_only_what_is_new(running: Queue) -> None:
    assert await tell(running, Note("a", 1, lines=lines("0", "1")))
    assert await tell(running, Note("a", 1, lines=lines("0", "1")))
    assert await tell(running, Note("a", 1, lines=lines("1", "2", "3"), first=1))
    assert await texts(running) == ["0", "1", "2", "3"]


async def test_the_next_attempt_goes_on_in_the_same_log(running: Queue) -> None:
    await tell(running, Note("a", 1, lines=lines("0", "1")))
    await running.reclaim("w1")
    await running.claim(1, "w2")
    assert not await tell(running, Note("a", 1, lines=lines("late"), first=2))
    assert await tell(running, Note("a", 2, lines=lines("2", attempt=2)), "w2")
    assert [(line.attempt, line.text) for line in (await log(running)).lines] == [(1, "0"), (1, "1"), (2, "2")]


async def test_a_log_keeps_its_newer_half_when_it_is_too_long_and_its_lines_their_numbers(running: Queue) -> None:
    for n in range(0, 3000, 10):
        await tell(running, Note("a", 1, lines=lines(*(f"{i:04} {'x' * 40}" for i in range(n, n + 10))), first=n))
    stored = await running.client._redis.hstrlen("jf:{test/photos}:logs", "a")
    page = await log(running)
    assert LOG_BYTES // 2 - 100 < stored <= LOG_BYTES + LOG_HEAD
    assert page.total == 3000
    assert page.first > 1000
    assert [int(line.text[:4]) for line in page.lines] == list(range(page.first, min(3000, page.first + 1000)))


async def test_a_log_is_read_by_pages_and_from_its_end(running: Queue) -> None:
    await tell(running, Note("a", 1, lines=lines(*map(str, range(10)))))
    assert await log(running, "nobody") == JobLog(0, (), 0)
    assert await texts(running, 4, 3) == ["4", "5", "6"]
    assert await texts(running, -2) == ["8", "9"]
    assert await texts(running, -20, 1) == ["0"]
    after = await log(running, "a", 10)
    assert (after.first, after.lines, after.total) == (10, (), 10)


async def test_where_lines_were_lost_on_their_way_the_log_goes_on_behind_the_gap(running: Queue) -> None:
    await tell(running, Note("a", 1, lines=lines("0", "1")))
    await tell(running, Note("a", 1, lines=lines("7"), first=7))
    page = await log(running)
    assert (page.first, [line.text for line in page.lines], page.total) == (7, ["7"], 8)


async def test_progress_travels_sealed(running: Queue) -> None:
    seal = Seal(keys={"k": bytes(32)})
    assert await tell(running, Note("a", 1, pack_progress({"name": "confidential"})), seal=seal)
    stored = await running.client._redis.hget("jf:{test/photos}:progress", "a")
    assert stored is not None
    assert b"confidential" not in stored
    view = await running.client.run(looking.look(REALM, QUEUE, "a", seal=seal))
    assert view is not None
    assert view.progress == {"name": "confidential"}
    stranger = await running.look("a")
    assert stranger is not None
    assert stranger.progress is None
    assert (stranger.name, stranger.args) == (view.name, view.args) != ("(sealed)", {})  # the job itself is not sealed


async def test_what_was_told_goes_with_its_job(running: Queue) -> None:
    await running.configure(keep_completed=0)
    await tell(running, Note("a", 1, pack_progress(1), lines("one")))
    await running.exchange("w1", 0, done("a"))
    assert await running.client._redis.exists("jf:{test/photos}:progress", "jf:{test/photos}:logs") == 0
