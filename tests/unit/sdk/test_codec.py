from __future__ import annotations

import struct
import threading
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobfleet import codec
from jobfleet.errors import InvalidJob
from jobfleet.ids import new_job_id
from jobfleet.job import Failure, JobLog
from jobfleet.options import JobOptions
from jobfleet.portrait import as_text
from jobfleet.record import HEADER_BYTES, result_of, unpack_failures, view
from jobfleet.retry import Backoff
from jobfleet.seal import PLAIN, Seal, SealError
from jobfleet.states import State

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), plain, max_size=4))
def test_arguments_come_back_as_they_went(args: dict[str, Any]) -> None:
    body = codec.unpack_body(codec.pack_body(codec.pack_shell("job", JobOptions()), args))
    assert (body.name, body.args) == ("job", args)


def test_options_travel_and_defaults_cost_nothing() -> None:
    plain_body = codec.pack_body(codec.pack_shell("job", JobOptions()), {})
    assert len(plain_body) < 12
    options = JobOptions(attempts=7, timeout=1.5, backoff=Backoff("fixed", 2, 3, 0))
    body = codec.unpack_body(codec.pack_body(codec.pack_shell("job", options), {}))
    assert (body.attempts, body.timeout, body.backoff) == (7, 1.5, options.backoff)


def test_dates_ids_and_paths_travel() -> None:
    args = {"at": datetime(2026, 1, 2, tzinfo=UTC), "id": UUID(int=7), "path": PurePosixPath("/a/b")}
    body = codec.unpack_body(codec.pack_body(codec.pack_shell("job", JobOptions()), args))
    assert body.args == {"at": args["at"], "id": str(args["id"]), "path": "/a/b"}


@pytest.mark.parametrize(
    ("args", "field"),
    [({"ok": 1, "bad": object()}, "args.bad"), ({"n": 2**70}, "args.n"), ({3: 1}, "args"), ({"f": print}, "args.f")],
)
def test_an_argument_that_cannot_travel_is_named(args: dict[Any, Any], field: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        codec.pack_body(codec.pack_shell("job", JobOptions()), args)
    assert caught.value.field == field


def kept(failure: Failure, at_ms: int = 1, worker: str = "w1") -> bytes:
    """A failure as the scripts keep it."""
    return at_ms.to_bytes(6, "big") + bytes([len(worker)]) + worker.encode() + codec.pack_failure(failure)


def test_a_record_is_read_as_the_scripts_write_it() -> None:
    header = struct.pack(">BB", ord("A"), 3) + (258).to_bytes(3, "big") + bytes([2, 1])
    header += b"".join(n.to_bytes(6, "big") for n in (1_700_000_000_001, 1_700_000_000_002, 1_700_000_000_003))
    assert len(header) == HEADER_BYTES
    record = header + codec.pack_body(codec.pack_shell("job", JobOptions()), {"n": 1})
    failures = kept(Failure("E", "earlier")) + kept(Failure("E", "why", final=True), 1_700_000_000_004, "")
    seen = view("q", "id", record, codec.pack_result([1]), failures, codec.pack_result(50))
    assert [failure.message for failure in seen.history] == ["earlier", "why"]
    assert (seen.progress, seen.group) == (50, None)
    assert (seen.state, seen.priority, seen.attempt, seen.failures, seen.lost) == (State.ACTIVE, 3, 258, 2, 1)
    assert (seen.enqueued_ms, seen.since_ms, seen.started_ms) == (
        1_700_000_000_001,
        1_700_000_000_002,
        1_700_000_000_003,
    )
    assert seen.result == [1]
    assert seen.error is not None
    assert seen.error == Failure("E", "why", final=True, at_ms=1_700_000_000_004)
    assert (seen.history[0].at_ms, seen.history[0].worker, seen.history[0].final) == (1, "w1", False)


def test_a_failure_is_cut_to_its_limits() -> None:
    (failure,) = unpack_failures(kept(Failure("E", "m" * 9_000, "t" * 20_000 + "end")))
    assert (len(failure.message), len(failure.traceback)) == (codec.MAX_MESSAGE, codec.MAX_TRACEBACK)
    assert failure.traceback.endswith("end")


def test_ids_are_unique_across_threads_and_sort_by_time() -> None:
    found: list[list[str]] = [[] for _ in range(4)]

    def draw(into: list[str]) -> None:
        into.extend(new_job_id() for _ in range(5_000))

    threads = [threading.Thread(target=draw, args=(into,)) for into in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [job_id for into in found for job_id in into]
    assert len(set(ids)) == len(ids)
    assert all(len(job_id) == 18 and job_id[0].isalpha() for job_id in ids)
    assert new_job_id()[:4] >= ids[0][:4]


@pytest.mark.parametrize("body", [b"", b"\xff", b"\x93\x01\x02\x03", b"\x82\xa1n\xa3job\xa1a" + b"\x91" * 3000])
def test_a_record_whose_body_cannot_be_read_is_shown_as_such(body: bytes) -> None:
    header = struct.pack(">BB", ord("W"), 3) + bytes(HEADER_BYTES - 2)
    seen = view("q", "id", header + body, None, None, None)
    assert (seen.id, seen.name, seen.args, seen.state) == ("id", "(unreadable)", {}, State.WAITING)


@pytest.mark.parametrize(
    ("seal", "result", "why"),
    [(Seal(keys={"old": bytes(16)}), b"\x01", "the key 'old'"), (PLAIN, b"\x81\x81\x01\x02\x03", "hashable")],
)
def test_a_result_that_cannot_be_opened_is_not_taken_for_none(seal: Seal, result: bytes, why: str) -> None:
    header = struct.pack(">BB", ord("C"), 3) + bytes(HEADER_BYTES - 2)
    body = codec.pack_shell("job", JobOptions())
    seen = view("q", "id", header + body, seal.close(result, codec.bound_to("q", "id")), None, None)
    assert (seen.name, seen.result) == ("job", None)
    assert why in as_text(seen, JobLog(0, (), 0))
    with pytest.raises(SealError, match=why):
        result_of("id", seen)
    nothing = view("q", "id", header + seal.close(body, codec.bound_to("q", "id")), b"", None, None)
    assert result_of("id", nothing) is None
