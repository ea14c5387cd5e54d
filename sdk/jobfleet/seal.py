"""What happens to the bytes of a job and of its result on their way: compression, encryption, both or neither.

Sealed bytes begin with 0xC1, which MessagePack never uses, and a byte that says how; so sealed and plain jobs may stand
in one queue, and workers that can open more than producers close are all that a change of keys needs.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobfleet.errors import ConfigurationError, JobfleetError

MARK = 0xC1
ZLIB, AES_GCM = 1, 2
NONCE_BYTES = 12
MOST_BYTES = 64 * 1024 * 1024
"""What a compressed job may unfold to: a small job cannot fill a worker's memory."""


class SealError(JobfleetError):
    """Bytes cannot be opened: the key is not there, or they are not what was sealed or packed."""


@dataclass(frozen=True, slots=True)
class Seal:
    """How a fleet seals; the first key seals, and every key opens, so that keys can be changed one after the other.

    Attributes:
        compress_above: bytes above which zlib is tried, up to :data:`MOST_BYTES`; None: never.
        keys: AES-GCM keys of 16, 24 or 32 bytes by a name of at most 255 bytes; none: no encryption. Needs the
            package cryptography (the extra ``encryption``). What is sealed is bound to its queue and job: it opens
            nowhere else.

    Raises:
        ConfigurationError: one of them is none, a key is of another length, or the package for encryption is missing.
    """

    compress_above: int | None = None
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    _ciphers: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.compress_above is not None and not (type(self.compress_above) is int and self.compress_above >= 0):
            raise ConfigurationError(f"compress_above: {self.compress_above!r:.80} must be 0 or more bytes, or None")
        if not isinstance(self.keys, Mapping):
            raise ConfigurationError("keys: they must be a mapping of names to bytes, as {'2026-11': os.urandom(32)}")
        for name, key in self.keys.items():
            if not isinstance(name, str) or not name.isprintable() or not 1 <= len(name.encode()) <= 255:
                raise ConfigurationError(f"keys: {name!r:.80} must be a name of 1 to 255 printable bytes")
            if not isinstance(key, bytes) or len(key) not in (16, 24, 32):
                found = len(key) if isinstance(key, bytes) else f"a {type(key).__name__}"
                raise ConfigurationError(f"keys: {name!r} must be a name for 16, 24 or 32 bytes, not for {found}")
            self._ciphers[name] = _cipher(key)

    @property
    def idle(self) -> bool:
        """Whether nothing is done to what goes out; sealed bytes that come in are opened all the same."""
        return self.compress_above is None and not self.keys

    def close(self, plain: bytes, bound_to: str) -> bytes:
        """The bytes as they are sent. ``bound_to`` names what they belong to."""
        packed = plain
        if self.compress_above is not None and self.compress_above < len(plain) <= MOST_BYTES:
            small = zlib.compress(plain, 6)
            if len(small) + 2 < len(plain):
                packed = bytes((MARK, ZLIB)) + small
        for name, cipher in self._ciphers.items():
            nonce, label = os.urandom(NONCE_BYTES), name.encode()
            secret: bytes = cipher.encrypt(nonce, packed, bound_to.encode())
            return bytes((MARK, AES_GCM, len(label))) + label + nonce + secret
        return packed

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """The bytes as they were.

        Raises:
            SealError: they were sealed with a key that is not here, or for something else, or they are damaged.
        """
        if len(sealed) < 2 or sealed[0] != MARK:
            return sealed
        if sealed[1] == ZLIB:
            return _inflate(sealed[2:])
        if sealed[1] != AES_GCM or len(sealed) < 3:
            raise SealError(f"these bytes are sealed in a way ({sealed[1]}) that this version does not know")
        end = 3 + sealed[2]
        name = sealed[3:end].decode(errors="replace")
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise SealError(
                f"this was sealed with the key {name!r}, which is not among this fleet's keys; give it that one"
            )
        try:
            packed: bytes = cipher.decrypt(
                sealed[end : end + NONCE_BYTES], sealed[end + NONCE_BYTES :], bound_to.encode()
            )
        except Exception as error:
            raise SealError(f"this does not open with the key {name!r}: it is damaged, or of another job") from error
        return self.open(packed, bound_to)


def _inflate(data: bytes) -> bytes:
    unfolding = zlib.decompressobj()
    try:
        plain = unfolding.decompress(data, MOST_BYTES)
    except zlib.error as error:
        raise SealError(f"compressed bytes are damaged: {error}") from error
    if unfolding.unconsumed_tail or not unfolding.eof:
        raise SealError(f"compressed bytes are damaged, or unfold to more than {MOST_BYTES} bytes")
    return plain


def _cipher(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - optional
    except ImportError as error:
        raise ConfigurationError(
            "keys: encryption needs the package cryptography: pip install 'cryptography>=43'"
        ) from error
    return AESGCM(key)


PLAIN = Seal()
"""Does nothing to what goes out, and opens what was only compressed."""
