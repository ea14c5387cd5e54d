"""Who the operator is to the API server: the account of its Pod, or a kubeconfig, as the files say now.

A kubelet puts a new token in the file before the old one ends, so whoever is refused reads again.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import yaml
from kubernetes.aio import client, config
from kubernetes.aio.config import kube_config

TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

UNREADABLE = (config.ConfigException, OSError, yaml.YAMLError, TypeError, AttributeError)
"""What the library raises over a kubeconfig that is none; the last two where it is YAML of something else."""


class CredentialsError(Exception):
    """The files cannot be read, or are not what they should be."""


def in_cluster() -> bool:
    """Whether this process runs in a Pod that has a service account."""
    return TOKEN.exists() and "KUBERNETES_SERVICE_HOST" in os.environ


async def read() -> client.Configuration:
    """Where the API server is and who we are. Raises CredentialsError."""
    found = client.Configuration()
    with _reading():
        if in_cluster():
            config.load_incluster_config(client_configuration=found)  # type: ignore[no-untyped-call]
        else:
            _look_for_kubeconfig()
            await config.load_kube_config(client_configuration=found)  # type: ignore[no-untyped-call]
    return found


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        msg = f"the credentials for Kubernetes cannot be read: {error}"
        raise CredentialsError(msg) from error


def _look_for_kubeconfig() -> None:
    places = kube_config.KUBE_CONFIG_DEFAULT_LOCATION
    if not any(Path(place).expanduser().exists() for place in places.split(os.pathsep) if place):
        msg = f"there is no kubeconfig at {places!r}: set KUBECONFIG to where yours is"
        raise CredentialsError(msg)


def namespace() -> str:
    """Which one is meant where nobody names one: the Pod's, or that of kubectl's context. Raises CredentialsError."""
    if in_cluster():
        return TOKEN.with_name("namespace").read_text(encoding="utf-8").strip()
    with _reading():
        _look_for_kubeconfig()
        _, context = config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
    return str(context["context"].get("namespace") or "default")


def token(found: client.Configuration) -> str:
    """The value of the header Authorization; "" where a certificate says who we are."""
    return str(found.api_key.get("BearerToken", ""))


def session(found: client.Configuration, send: aiohttp.ClientMiddlewareType) -> aiohttp.ClientSession:
    """A session whose requests go through `send`, which brings the token; to be closed by the caller."""
    secure = client.ApiClient(configuration=found).rest_client.ssl_context
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=secure),
        proxy=found.proxy,
        trust_env=True,
        middlewares=(send,),
    )
