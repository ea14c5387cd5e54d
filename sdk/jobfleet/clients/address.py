"""Redis URLs: which are taken, and how they are shown. Pure, and no need of redis-py."""

from __future__ import annotations

from urllib.parse import urlsplit

from jobfleet.errors import ConfigurationError

SCHEMES = ("redis", "rediss", "unix")
REMEDY = (
    "as in redis://:password@redis:6379/0, and in the password %2F for a /, "
    "%3F for ?, %23 for #, %5B for [ and %5D for ]"
)


def public_url(url: str) -> str:
    """A Redis URL without its credentials and options (a password or a whole CA may be among these), fit for a log.

    >>> public_url("rediss://user:secret@redis:6379/0?ssl_ca_data=-----BEGIN")
    'rediss://redis:6379/0'

    What is cut in the wrong places is not shown, for it may be the password:

    >>> public_url("redis://:sec/ret@redis:6379/0")
    'redis://...'

    Nor is what is no URL of Redis: where a URL should stand, a password or a key may have been put.

    >>> public_url("hunter2"), public_url("redis:hunter2")
    ('...', '...')
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "..."
    if parts.scheme not in SCHEMES or not url.startswith(f"{parts.scheme}://"):
        return "..."
    if "@" in parts.path + parts.query + parts.fragment:
        return f"{parts.scheme}://..."
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def check_url(url: str) -> str:
    """The URL itself, if it is one of Redis.

    Raises:
        ConfigurationError: its scheme is none of redis, rediss and unix, its port or its database is no number.
    """
    try:
        parts = urlsplit(url)
        whole = parts.port is None or "@" in parts.netloc or "@" not in parts.path + parts.query + parts.fragment
    except ValueError:
        whole = False
    if not whole:  # the words of urllib would show a part of the password
        raise ConfigurationError(f"the Redis URL {public_url(url)!r} names no host and port, {REMEDY}")
    if parts.scheme not in SCHEMES or not url.startswith(f"{parts.scheme}://"):
        raise ConfigurationError(
            f"the Redis URL {public_url(url)!r} must begin with redis://, rediss:// or unix://, as in redis://localhost:6379/0"
        )
    database = parts.path.strip("/")
    if parts.scheme != "unix" and database and not database.isdigit():
        raise ConfigurationError(f"the Redis URL {public_url(url)!r} must end with the number of a database, {REMEDY}")
    return url
