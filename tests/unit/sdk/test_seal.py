from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobfleet.environment import Environment
from jobfleet.errors import ConfigurationError
from jobfleet.seal import MOST_BYTES, PLAIN, Seal, SealError

OLD, NEW = bytes(range(16)), bytes(range(32))


@given(st.binary(max_size=2000), st.sampled_from([None, 0, 100]), st.booleans())
def test_what_is_closed_opens_again(plain: bytes, above: int | None, secret: bool) -> None:
    plain = b"\x80" + plain  # as MessagePack begins
    seal = Seal(above, {"a": NEW} if secret else {})
    assert seal.open(seal.close(plain, "q/1"), "q/1") == plain


def test_only_what_gets_smaller_is_compressed() -> None:
    seal = Seal(compress_above=100)
    assert len(seal.close(b"\x80" + b"x" * 10_000, "q/1")) < 200
    assert seal.close(b"\x80" + b"x" * 50, "q/1") == b"\x80" + b"x" * 50
    assert PLAIN.open(seal.close(b"\x80" + b"x" * 10_000, "q/1"), "q/1") == b"\x80" + b"x" * 10_000


def test_what_would_unfold_to_too_much_is_not_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobfleet.seal.MOST_BYTES", 1000)
    seal = Seal(compress_above=100)
    for size, compressed in ((1000, True), (1001, False)):
        closed = seal.close(b"\x80" * size, "q/1")
        assert (len(closed) < size) is compressed
        assert seal.open(closed, "q/1") == b"\x80" * size


def test_keys_are_changed_by_adding_the_new_one_first_in_readers_then_in_writers() -> None:
    before, between, after = (
        Seal(keys={"old": OLD}),
        Seal(keys={"old": OLD, "new": NEW}),
        Seal(keys={"new": NEW, "old": OLD}),
    )
    assert between.open(before.close(b"\x80", "q/1"), "q/1") == b"\x80"
    assert between.open(after.close(b"\x80", "q/1"), "q/1") == b"\x80"
    with pytest.raises(SealError, match="sealed with the key 'new'"):
        before.open(after.close(b"\x80", "q/1"), "q/1")


def test_secret_bytes_do_not_open_for_another_job_nor_damaged() -> None:
    seal = Seal(keys={"a": NEW})
    closed = seal.close(b"\x80secret", "q/1")
    assert b"secret" not in closed
    with pytest.raises(SealError, match="of another job"):
        seal.open(closed, "q/2")
    with pytest.raises(SealError, match="damaged"):
        seal.open(closed[:-1] + bytes([closed[-1] ^ 1]), "q/1")


def test_a_small_job_cannot_unfold_without_bound() -> None:
    import zlib

    bomb = bytes((0xC1, 1)) + zlib.compress(b"\0" * (MOST_BYTES + 1), 9)
    with pytest.raises(SealError, match="unfold to more"):
        PLAIN.open(bomb, "q/1")


@pytest.mark.parametrize("key", [b"", b"short", bytes(33)])
def test_a_key_of_another_length_is_refused(key: bytes) -> None:
    with pytest.raises(ConfigurationError, match="must be a name for 16, 24 or 32 bytes"):
        Seal(keys={"a": key})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"keys": {"a": "x" * 16}}, "'a' must be a name for 16, 24 or 32 bytes, not for a str"),
        ({"keys": {5: NEW}}, "5 must be a name of 1 to 255 printable bytes"),
        ({"keys": {"\ud800": NEW}}, "must be a name of"),
        ({"keys": ["a"]}, "must be a mapping of names to bytes"),
        ({"compress_above": "1"}, "compress_above: '1' must be 0 or more bytes"),
        ({"compress_above": -1}, "compress_above: -1"),
    ],
)
def test_a_seal_names_what_is_wrong_with_it(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Seal(**given)


def test_keys_are_not_shown() -> None:
    assert "keys" not in repr(Seal(keys={"a": NEW}))


def test_the_environment_gives_keys_and_shows_none() -> None:
    keys = {"new": NEW, "old": OLD}
    text = ", ".join(f"{name}:{base64.b64encode(key).decode()}" for name, key in keys.items())
    environment = Environment.read({"JOBFLEET_KEYS": text})
    assert environment.seal.keys == keys
    assert base64.b64encode(NEW).decode() not in repr(environment)
    assert Environment.read({}).seal is PLAIN


@pytest.mark.parametrize("text", ["c2VjcmV0", "a:c2VjcmV0!", "a:c2VjcmV0", "a:" + "A" * 24 + ",a:" + "A" * 24])
def test_a_wrong_key_of_the_environment_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^JOBFLEET_KEYS: .* 16, 24 or 32 bytes") as caught:
        Environment.read({"JOBFLEET_KEYS": text})
    assert "c2VjcmV0" not in str(caught.value)
    assert "secret" not in str(caught.value)
