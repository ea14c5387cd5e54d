"""Who the operator is to the API server: the account of its Pod, or a kubeconfig, as the files say now.

A kubelet puts a new token in the file before the old one ends, so whoever is refused reads again.
"""

import os
from pathlib import Path

import aiohttp
import yaml
from kubernetes.aio import client, config

TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class CredentialsError(Exception):
    """The files cannot be read, or are not what they should be."""


def in_cluster() -> bool:
    """Whether this process runs in a Pod that has a service account."""
    return TOKEN.exists() and "KUBERNETES_SERVICE_HOST" in os.environ


async def read() -> client.Configuration:
    """Where the API server is and who we are. Raises CredentialsError."""
    found = client.Configuration()
    try:
        if in_cluster():
            config.load_incluster_config(client_configuration=found)  # type: ignore[no-untyped-call]
        else:
            await config.load_kube_config(client_configuration=found)  # type: ignore[no-untyped-call]
    except (config.ConfigException, OSError, yaml.YAMLError) as error:
        msg = f"the credentials for Kubernetes cannot be read: {error}"
        raise CredentialsError(msg) from error
    return found


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
