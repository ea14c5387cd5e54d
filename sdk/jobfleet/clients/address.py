"""Redis URLs: which are taken, and how they are shown. Pure, and no need of redis-py."""

from __future__ import annotations

from urllib.parse import urlsplit

from jobfleet.errors import ConfigurationError


def public_url(url: str) -> str:
    """A Redis URL without its credentials and options (a password or a whole CA may be among these), fit for a log.

    >>> public_url("rediss://user:secret@redis:6379/0?ssl_ca_data=-----BEGIN")
    'rediss://redis:6379/0'
    """
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def check_url(url: str) -> str:
    """The URL itself, if it is one of Redis.

    Raises:
        ConfigurationError: its scheme is none of redis, rediss and unix.
    """
    if urlsplit(url).scheme not in ("redis", "rediss", "unix"):
        raise ConfigurationError(
            f"the Redis URL {public_url(url)!r} must begin with redis://, rediss:// or unix://, as in redis://localhost:6379/0"
        )
    return url
