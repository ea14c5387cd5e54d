"""Makes redis-py's clients from URLs, or says what is wrong with a URL's options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import redis.exceptions as redis_errors

from jobfleet.clients.address import public_url
from jobfleet.errors import ConfigurationError

R = TypeVar("R")

NO_CAP = 2**31
"""Connections of a pool: each thread that waits has one, each watcher of events too. redis-py would stop at 100."""


def opened(from_url: Callable[..., R], url: str, **settings: Any) -> R:
    """A client of redis-py, which connects when it is first used.

    Raises:
        ConfigurationError: the URL has options that redis-py does not have or cannot read.
    """
    if not url.startswith("unix:"):
        settings["socket_keepalive"] = True
    settings["max_connections"] = NO_CAP
    try:
        client: Any = from_url(url, **settings)
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # connects nowhere, but meets every option
    except (TypeError, ValueError, AttributeError, redis_errors.RedisError) as error:
        raise ConfigurationError(
            f"the options of the Redis URL {public_url(url)!r} cannot be used: {error}; "
            "they stand behind its ?, as in rediss://redis:6379/0?ssl_cert_reqs=none"
        ) from error
    return client  # type: ignore[no-any-return]
