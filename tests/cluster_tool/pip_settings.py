"""The machine's pip settings, lent to an image build: package indexes and certificates, never kept in the image."""

from __future__ import annotations

import configparser
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

FILES = (Path("/etc/pip.conf"), Path("~/.pip/pip.conf"), Path("~/.config/pip/pip.conf"))
"""Where pip looks, the later the stronger."""

KEPT = ("index-url", "extra-index-url", "trusted-host", "timeout", "proxy")
"""The settings that a build may need; each can also come as an environment variable PIP_…"""

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
"""Where the certificates are, on Debian and in its images."""


def merged(files: Iterable[Path] = FILES, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What pip on this machine goes by: the section `global` of its files, then the environment.

    >>> merged([], {"PIP_INDEX_URL": "https://packages.example/simple", "PIP_CERT": "/my/ca.pem"})
    {'index-url': 'https://packages.example/simple', 'cert': '/my/ca.pem'}
    """
    settings: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        parser.read(file.expanduser())
        if parser.has_section("global"):
            settings |= dict(parser.items("global"))
    for name in (*KEPT, "cert"):
        if value := environment.get(f"PIP_{name.replace('-', '_').upper()}"):
            settings[name] = value
    return {name: settings[name] for name in (*KEPT, "cert") if name in settings}


def certificates(settings: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> Path | None:
    """The bundle of certificates that this machine trusts, or None when it has none of its own."""
    for candidate in (settings.get("cert"), environment.get("SSL_CERT_FILE"), BUNDLE):
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    return None


def as_file(settings: Mapping[str, str]) -> str:
    """The text of a pip.conf for a build that has the certificates mounted at `BUNDLE`.

    >>> print(as_file({"timeout": "60", "cert": "/my/ca.pem"}).strip())
    [global]
    timeout = 60
    cert = /etc/ssl/certs/ca-certificates.crt
    """
    parser = configparser.RawConfigParser()
    parser["global"] = {**settings, "cert": BUNDLE}
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()
