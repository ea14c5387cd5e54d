"""Who acts, as the audit of queues tells it."""

from __future__ import annotations

import getpass
import os
import pwd
import socket

import pytest

from jobfleet import Fleet
from jobfleet.environment import actor_of


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    for name in ("JOBFLEET_ACTOR", "JOBFLEET_WORKER", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    return "box"


def test_the_environment_says_who_acts_or_it_is_found_out(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert actor_of({}) == "ann@box"
    assert actor_of(pod) == "box"
    assert actor_of(pod | {"JOBFLEET_WORKER": "photos-7d4"}) == "worker/photos-7d4"
    assert actor_of(pod | {"JOBFLEET_WORKER": "photos-7d4", "JOBFLEET_ACTOR": "night shift"}) == "night shift"


def test_a_user_without_a_name_has_a_number(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises((KeyError, OSError)):
        getpass.getuser()
    assert actor_of({}) == f"uid-{os.getuid()}@box"


def test_a_fleet_acts_as_it_is_told(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBFLEET_ACTOR", "env")
    assert Fleet().author("why").who == "env"
    assert Fleet(actor="ann").author().who == "ann"
    assert Fleet.from_env({"JOBFLEET_ACTOR": "given"}).author().who == "given"
    assert Fleet.from_env().author().who == "env"
