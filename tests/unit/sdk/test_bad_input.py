"""Bad input gets a sentence that names the field, and nothing is sent: these fleets have no Redis to send to."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr, TypeAdapter

from jobfleet import (
    Backoff,
    ConfigurationError,
    Dedup,
    FailureFilter,
    Fleet,
    InvalidJob,
    JobOptions,
    Limits,
    Middleware,
    NewCall,
    RateLimited,
    RetryAfter,
    Snooze,
    WorkerSettings,
    codec,
)
from jobfleet.clients.asynchronous import AsyncClient
from jobfleet.clients.blocking import SyncClient
from jobfleet.environment import Environment
from jobfleet.options import check_job_name, check_queue_name

FLEET = Fleet("redis://127.0.0.1:1/0")


@FLEET.job(queue="photos")
async def process(photo_id: str, sizes: list[int], *, label: str = "") -> None: ...


@pytest.mark.parametrize(
    ("options", "field", "says"),
    [
        ({"priority": 0}, "priority", "from 1 to 10"),
        ({"priority": 11}, "priority", "from 1 to 10"),
        ({"priority": True}, "priority", "whole number"),
        ({"priority": 2.5}, "priority", "whole number"),
        ({"attempts": 0}, "attempts", "from 1 to 100"),
        ({"delay": -1}, "delay", "seconds from 0"),
        ({"delay": float("nan")}, "delay", "seconds from 0"),
        ({"delay": "1h"}, "delay", "seconds from 0"),
        ({"timeout": 0}, "timeout", "seconds from 0.001"),
        ({"run_at": datetime(2030, 1, 1)}, "run_at", "no time zone"),  # noqa: DTZ001 - the point
        ({"run_at": datetime(2030, 1, 1, tzinfo=UTC), "delay": 5}, "run_at", "not both"),
        ({"run_at": datetime.now(UTC) + timedelta(days=40_000)}, "run_at", "ten years"),
        ({"metadata": {"a": 1}}, "metadata", "text by name"),
        ({"metadata": ["a"]}, "metadata", "must be a mapping"),
        ({"metadata": None}, "metadata", "{}: none"),
        ({"dedup": "key"}, "dedup", r"must be a Dedup, as Dedup\('report-7'\)"),
        ({"dedup": Dedup("k", "debounce"), "delay": 5, "job_id": "k"}, "job_id", "leave job_id out"),
        ({"backoff": 5}, "backoff", "must be a Backoff"),
        ({"backoff": None}, "backoff", "must be a Backoff"),
        ({"metadata": {"a": "\ud800"}}, "metadata", "without surrogates"),
        ({"metadata": {"\udfff": "a"}}, "metadata", "without surrogates"),
        ({"job_id": "a b"}, "job_id", "without spaces"),
        ({"job_id": ""}, "job_id", "1 to 128"),
        ({"job_id": "x" * 129}, "job_id", "1 to 128"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(InvalidJob, match=says) as caught:
        JobOptions(**options)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("kwargs", "field"),
    [
        ({}, "args.photo_id"),
        ({"photo_id": "1"}, "args.sizes"),
        ({"photo_id": "1", "sizes": ["wide"]}, "args.sizes.0"),
        ({"photo_id": "1", "sizes": [1], "colour": "red"}, "args.colour"),
    ],
)
async def test_a_wrong_argument_is_named_before_anything_is_sent(kwargs: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        await process.enqueue(**kwargs)
    assert caught.value.field == field
    with pytest.raises(InvalidJob):
        process.enqueue_many_sync([{"photo_id": "1", "sizes": [1]}, kwargs])


@pytest.mark.parametrize("name", ["", "Photos", "-a", "a-", "a" * 64, "a_b", "a/b", "a{b}", None, 7])
def test_a_queue_name_that_is_none_is_refused(name: object) -> None:
    with pytest.raises(InvalidJob, match="queue"):
        check_queue_name(name)


@pytest.mark.parametrize("name", ["", "1st", "a b", "a" * 129, "a:b", None])
def test_a_job_name_that_is_none_is_refused(name: object) -> None:
    with pytest.raises(InvalidJob, match="name"):
        check_job_name(name)


def test_a_name_is_taken_once_in_a_queue() -> None:
    with pytest.raises(ConfigurationError, match="has a handler named 'process' already"):

        @FLEET.job(queue="photos", name="process")
        async def other() -> None: ...


def test_a_handler_whose_parameters_have_no_names_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="must have a name"):

        @FLEET.job(queue="photos")
        async def anything(*args: int) -> None: ...


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"JOBFLEET_CONCURRENCY": "many"}, "JOBFLEET_CONCURRENCY: 'many' must be a whole number from 1"),
        ({"JOBFLEET_CONCURRENCY": "0"}, "from 1 to 10000"),
        ({"JOBFLEET_DRAIN_SECONDS": "-1"}, "JOBFLEET_DRAIN_SECONDS"),
        ({"JOBFLEET_HEALTH_PORT": "70000"}, "JOBFLEET_HEALTH_PORT"),
        ({"JOBFLEET_QUEUES": "photos,No Queue"}, "JOBFLEET_QUEUES: queue: 'No Queue'"),
        *(
            ({"JOBFLEET_QUEUES": f"mail,{wrong}"}, f"JOBFLEET_QUEUES: '{wrong}' must be a queue, or .* as in photos:3")
            for wrong in ("photos:", "photos:0", "photos:-1", "photos:1001", "photos:much", "photos:nan", "photos:1:2")
        ),
        ({"JOBFLEET_QUEUES": "mail,mail:2"}, "JOBFLEET_QUEUES: 'mail' is named twice"),
    ],
)
def test_a_wrong_variable_of_the_environment_is_named(variables: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Environment.read(variables)


def test_an_environment_is_read_whole() -> None:
    read = Environment.read(
        {
            "JOBFLEET_REDIS_URL": "redis://r:1/2", "JOBFLEET_REALM": "shop", "JOBFLEET_QUEUES": "a, b:2.5,c=3,",
            "JOBFLEET_CONCURRENCY": "4", "JOBFLEET_WORKER": "pod-1", "JOBFLEET_POOL": "p",
            "JOBFLEET_DRAIN_SECONDS": "7", "JOBFLEET_HEALTH_PORT": "8081",
        }
    )  # fmt: skip
    assert read == Environment(
        "redis://r:1/2", "shop", {"a": 1, "b": 2.5, "c": 3}, 4, "pod-1", "p", 7, 8081, actor="worker/pod-1"
    )


def test_a_worker_serves_the_queues_of_its_environment_by_their_weights() -> None:
    settings = Fleet.from_env({"JOBFLEET_QUEUES": "photos:3,mail"}).worker_settings()
    assert settings.queue_names == ("photos", "mail")
    assert (settings.weight("photos"), settings.weight("mail")) == (3, 1)


def test_a_url_that_is_none_of_redis_is_refused_without_showing_its_password() -> None:
    with pytest.raises(ConfigurationError, match="must begin with redis://") as caught:
        Fleet("http://user:secret@host/")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://:12/secret@host:6379/0", r"URL 'redis://...' names no host and port, as in .* %2F for a /"),
        ("redis://:secret?@host:6379/0", "names no host and port"),
        ("redis://:12?secret@host:6379/0", "names no host and port"),
        ("redis://:12#secret@host:6379/0", "names no host and port"),
        ("redis://[secret", "names no host and port"),
        ("redis://host:70000/0", "names no host and port"),
        ("redis://:secret@host:6379/photos", "URL 'redis://host:6379/photos' must end with the number of a database"),
        (
            "redis://:secret@host/0?colour=red",
            "the options of the Redis URL 'redis://host/0' cannot be used: .*'colour'",
        ),
        ("redis://:secret@host/?db=secret", "the options .* cannot be used: Invalid value for 'db'"),
        ("rediss://host/?ssl_cert_reqs=some", "the options .* cannot be used: Invalid SSL"),
    ],
)
async def test_a_url_that_cannot_be_used_is_refused_without_showing_its_password(url: str, says: str) -> None:
    for client in (AsyncClient, SyncClient):
        with pytest.raises(ConfigurationError, match=says) as caught:
            client(url)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["redis://host", "redis://:a%2Fb@host:6379/", "redis:///1", "unix:///run/redis.sock?db=1"]
)
async def test_a_url_that_can_be_used_is_taken(url: str) -> None:
    for client in (AsyncClient, SyncClient):
        assert client(url).url == url


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"queues": ()}, "at least one queue"),
        ({"queues": "photos"}, r"queues: 'photos' is one text and no list of names; write queues=\('photos',\)"),
        ({"queues": ("Bad Name",)}, "queues: queue: 'Bad Name' must be at most 63 of a-z"),
        ({"queues": {"photos": "3"}}, "queues: the weight '3' of 'photos' must be a number above 0"),
        ({"queues": (("photos", 1, 2),)}, r"queues: \('photos', 1, 2\) must be a name, or a pair"),
        ({"queues": (5,)}, "queues: 5 must be a name, or a pair"),
        ({"concurrency": 0}, "concurrency: 0 must be a whole number, at least 1"),
        ({"concurrency": 2.5}, "concurrency: 2.5 must be a whole number"),
        ({"concurrency": True}, "concurrency: True must be a whole number"),
        ({"lease_ms": 0}, "lease_ms: 0 must be whole milliseconds from 100"),
        ({"drain_seconds": -1}, "drain_seconds: -1 must be 0 or more seconds"),
        ({"drain_seconds": float("nan")}, "drain_seconds: nan must be 0 or more seconds"),
        ({"drain_seconds": "30"}, "drain_seconds: '30' must be 0 or more seconds"),
        ({"stall_seconds": 0}, "stall_seconds: 0 must be at least 0.1 seconds"),
        ({"health_port": 70_000}, "health_port: 70000 must be a port up to 65535"),
        ({"max_jobs": 1.5}, r"max_jobs: 1.5 must be 0 \(no limit\) or a whole number"),
    ],
)
def test_wrong_settings_of_a_worker_are_named(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        WorkerSettings(**{"queues": ("a",), **settings})


@pytest.mark.parametrize("slots", [0, 2.5, "4"])
async def test_a_worker_is_resized_to_a_whole_number_of_slots(slots: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"slots: .* must be a whole number, at least 1"):
        FLEET.worker(WorkerSettings(queues=("a",))).resize(slots)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e30, "5", None])
@pytest.mark.parametrize("signal", [RetryAfter, Snooze, RateLimited])
def test_a_signal_with_a_wait_that_cannot_be_is_refused(signal: type[Snooze], seconds: Any) -> None:
    with pytest.raises(ValueError, match="give seconds from 0 to 316224000"):
        signal(seconds)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"seconds": "5"}, "backoff.seconds"),
        ({"seconds": None}, "backoff.seconds"),
        ({"seconds": True}, "backoff.seconds"),
        ({"seconds": 5000}, "backoff.seconds"),
        ({"cap_seconds": "1"}, "backoff.cap_seconds"),
        ({"jitter": 1.5}, "backoff.jitter"),
        ({"kind": "linear"}, "backoff.kind"),
    ],
)
def test_a_wrong_value_of_a_backoff_is_named(values: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        Backoff(**values)
    assert caught.value.field == field


@pytest.mark.parametrize("calls", [{"photo_id": "1", "sizes": []}, "abc", b"abc", 5, None, [5], ["abc"], [None]])
def test_calls_that_are_none_are_refused(calls: Any) -> None:
    with pytest.raises(InvalidJob, match="mapping of argument names to values") as caught:
        process.enqueue_many_sync(calls)
    assert caught.value.field == "calls"


async def test_an_id_of_ones_own_is_for_one_job(monkeypatch: pytest.MonkeyPatch) -> None:
    call = {"photo_id": "1", "sizes": []}
    with pytest.raises(InvalidJob, match="is the id of one job, and there are 3") as caught:
        await process.options(job_id="same").enqueue_many([call] * 3)
    assert caught.value.field == "job_id"
    sent: list[Any] = []
    monkeypatch.setattr(FLEET, "send_sync", lambda queue, items: sent.extend(items))
    process.options(job_id="same").enqueue_many_sync([call])
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("group", "values", "field"),
    [
        ("tenant a\n", {}, "group"),
        ("", {}, "group"),
        (5, {}, "group"),
        ("g", {"max_active": -5}, "max_active"),
        ("g", {"max_active": 2.5}, "max_active"),
        ("g", {"rate": -1}, "rate"),
        ("g", {"rate": 5, "rate_seconds": 0}, "rate_seconds"),
        ("g", {"rate": 5, "rate_seconds": "1"}, "rate_seconds"),
        ("g", {"weight": "x"}, "weight"),
        ("g", {"weight": 0}, "weight"),
    ],
)
async def test_a_wrong_limit_of_a_group_is_named(group: Any, values: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        FLEET.queue_sync("photos").group(group, **values)
    assert caught.value.field == field
    with pytest.raises(InvalidJob):
        await FLEET.queue("photos").group(group, **values)


@pytest.mark.parametrize("values", [{"max_active": -1}, {"rate": 5, "rate_seconds": "1"}, {"group_rate_seconds": 0}])
def test_a_wrong_limit_is_named(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidJob) as caught:
        Limits(**values)
    assert caught.value.field in values


def test_a_filter_that_is_none_is_refused() -> None:
    wrong: Any = {"kind": "OSError"}
    with pytest.raises(InvalidJob, match=r"wanted: .* must be a FailureFilter"):
        FLEET.queue_sync("photos").retry_where(wrong)


def test_a_state_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidJob, match="state: 'broken' is unknown; there are waiting, delayed, "):
        FLEET.queue_sync("photos").jobs("broken")
    with pytest.raises(InvalidJob, match="state: 'waiting' cannot be cleaned"):
        FLEET.queue_sync("photos").clean("waiting")


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), "5", True])
def test_a_rate_that_is_none_is_refused(rate: Any) -> None:
    with pytest.raises(InvalidJob, match=r"per_second: .* give none to retry all at once"):
        FLEET.queue_sync("photos").retry_where(per_second=rate)


@pytest.mark.parametrize(
    ("verb", "given", "sentence"),
    [
        ("job", {"job_id": 5}, r"job_id: 5 must be the id of a job"),
        ("cancel", {"job_id": None}, r"job_id: None must be the id of a job"),
        ("log", {"job_id": "a", "start": "0"}, r"start: '0' must be a whole number"),
        ("log", {"job_id": "a", "limit": -1}, r"limit: -1 must be a whole number from 0"),
        ("jobs", {"state": "failed", "limit": "10"}, r"limit: '10' must be a whole number from 0"),
        ("failed", {"limit": 1.5}, r"limit: 1.5 must be a whole number from 0"),
        ("failures", {"limit": None}, r"limit: None must be a whole number from 0"),
        ("audit", {"newest": "5"}, r"newest: '5' must be a whole number from 1"),
        ("wait", {"job_id": "a", "timeout": "5"}, r"timeout: '5' must be seconds"),
        ("wait", {"job_id": ["a"]}, r"job_id: \['a'\] must be the id of a job"),
        ("job", {"job_id": "a\udcff"}, r"job_id: 'a\\udcff' must be the id of a job"),
        ("pause", {"return_running": "no"}, r"return_running: 'no' must be true or false"),
        ("obliterate", {"name": "photos", "force": "no"}, r"force: 'no' must be true or false"),
        ("close_circuit", {"group": "a b"}, r"group: 'a b' must be 1 to 128 printable characters"),
        ("limit", {"limits": {"max_active": 5}}, r"limits: .* must be Limits, as Limits\(max_active=10\)"),
        ("configure", {"paused": "no"}, r"paused: 'no' must be true or false"),
    ],
)
async def test_what_a_verb_of_a_queue_cannot_use_is_named(verb: str, given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidJob, match=sentence):
        getattr(FLEET.queue_sync("photos"), verb)(**given)
    with pytest.raises(InvalidJob, match=sentence):
        await getattr(FLEET.queue("photos"), verb)(**given)


@pytest.mark.parametrize("after", ["yesterday", "", 5, "1-2-3"])
async def test_what_is_no_event_is_named(after: Any) -> None:
    with pytest.raises(InvalidJob, match=r"after: .* must be the id of an event, or '\$' \(from now on\) or '0'"):
        await anext(FLEET.queue("photos").events(after))


@pytest.mark.parametrize("cap", [-1.0, float("nan"), float("inf"), 1e9])
def test_a_backoff_has_a_cap_that_can_be_waited_for(cap: float) -> None:
    with pytest.raises(ValueError, match=r"backoff\.cap_seconds: .* \(ten years\)"):
        Backoff(seconds=0, cap_seconds=cap)


STREAM = TypeAdapter(Generator[int, None, None]).validate_python(n for n in [1])


@pytest.mark.parametrize("value", [SecretStr("hush"), STREAM])
def test_what_has_no_text_form_that_pydantic_reads_back_is_refused(value: Any) -> None:
    with pytest.raises(InvalidJob, match="cannot be sent") as caught:
        codec.pack_body(codec.pack_shell("job", JobOptions()), {"x": value})
    assert (caught.value.field, "hush" in str(caught.value)) == ("args.x", False)


@pytest.mark.parametrize("realm", ["shop/eu", "{shop}", "a b", "a\n", "\ud800", "x" * 254, None])
def test_a_realm_that_keys_cannot_be_spelt_with_is_refused(realm: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^realm: .* must be a namespace or a name of your own"):
        Fleet(realm=realm)
    with pytest.raises(ConfigurationError, match=r"^JOBFLEET_REALM: "):
        Environment.read({"JOBFLEET_REALM": realm or " "})


@pytest.mark.parametrize("job_id", [17, None, b"x", "a\udcff"])
async def test_a_state_is_asked_for_by_an_id_only(job_id: Any) -> None:
    with pytest.raises(InvalidJob, match=r"job_id: .* must be the id of a job"):
        FLEET.job_state_sync("photos", job_id)
    with pytest.raises(InvalidJob, match=r"job_id: .* must be the id of a job"):
        await FLEET.job_state("photos", job_id)
    with pytest.raises(InvalidJob, match=r"job_ids: .* must be the id of a job"):
        FLEET.queue_sync("photos").retry(job_id)


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"kind": OSError}, r"kind: <class 'OSError'> must be the name of the exception's class, as kind='OSError'"),
        ({"text": 5}, "text: 5 must be text"),
        ({"final": "no"}, "final: 'no' must be true or false"),
        ({"failed_before_ms": datetime.now(UTC)}, r"failed_before_ms: datetime.* must be Unix ms"),
        ({"failed_after_ms": True}, "failed_after_ms: True must be Unix ms"),
    ],
)
def test_a_filter_that_could_match_nothing_is_named(wanted: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidJob, match=sentence):
        FailureFilter(**wanted)


def test_a_filter_takes_an_instant_of_today() -> None:
    FailureFilter(failed_before_ms=int(datetime.now(UTC).timestamp() * 1000), final=False)


def test_who_acts_and_why_are_text() -> None:
    with pytest.raises(InvalidJob, match="why: 5 must be text for the audit"):
        FLEET.queue_sync("photos", why=5)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="actor: 5 must be text"):
        Fleet(actor=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("args", [None, "xyz", [("a", 1)]])
def test_arguments_are_a_mapping_whether_middleware_sees_them_or_not(args: Any) -> None:
    class Watching(Middleware):
        def enqueueing(self, call: NewCall) -> None: ...

    watched = Fleet("redis://127.0.0.1:1/0")
    watched.middleware(Watching())
    for fleet in (FLEET, watched):
        with pytest.raises(InvalidJob, match=r"args: .* must be a mapping of names to values"):
            fleet.enqueue_sync("photos", "process", args)


def test_options_keep_metadata_of_their_own() -> None:
    said = {"album": "1"}
    options = JobOptions(metadata=said)
    said["album"] = 2  # type: ignore[assignment]
    assert options.metadata == {"album": "1"}


@pytest.mark.parametrize("text", ["²", "9" * 5000, "-1", "1.5"])
def test_what_is_no_number_in_the_environment_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"JOBFLEET_CONCURRENCY: .* must be a whole number from 1 to 10000"):
        Environment.read({"JOBFLEET_CONCURRENCY": text})
