"""The operator's own settings, from its environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobfleet_operator.scaling.quota import Quotas


class SettingsError(Exception):
    """A variable of the environment is missing or wrong; the message names it and the remedy."""


class Settings(BaseModel):
    """Every variable that the operator reads, JOBFLEET_ before its name unless `POD_NAME`."""

    model_config = ConfigDict(frozen=True)

    redis_url: str = Field(default="", description="Redis of all JobQueues that name none of their own.")
    redis_url_file: Path | None = Field(
        default=None, description="File with that URL, instead; it is read again, so that the URL may be changed."
    )
    namespaces: tuple[str, ...] = Field(default=(), description="Namespaces to serve; none: all.")
    operator_namespace: str = Field(default="default", description="Where the Lease is.")
    leader_election: bool = Field(default=True, description="false: this replica always acts.")
    worker_quota: int | None = Field(
        default=None, ge=0, description="Workers that all pools may have together; none: as many as they want."
    )
    namespace_quotas: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Workers that the pools of a namespace may have together, such as shop=20,*=50; "
        "* is each of the others.",
    )
    external_metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Port of external.metrics.k8s.io, over TLS; 0: it is not served."
    )
    external_metrics_folder: Path = Field(
        default=Path("/etc/jobfleet/external-metrics"), description="Folder of its certificate: tls.crt and tls.key."
    )
    health_port: int = Field(default=8080, ge=0, le=65535, description="Port of /livez and /readyz.")
    watch_silence_seconds: float = Field(
        default=70.0,
        gt=0,
        description="A watch that says nothing for so many seconds is begun anew; the API server sends a bookmark "
        "each minute.",
    )
    log_format: str = Field(default="text", pattern="^(text|json)$", description="text or json.")
    log_level: str = Field(
        default="info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error."
    )
    pod_name: str = Field(default="", description="Name of this replica; without it the host's name is used.")

    @property
    def quotas(self) -> Quotas:
        """The quotas of workers."""
        return Quotas(self.worker_quota, self.namespace_quotas)

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            SettingsError: a value is not valid.

        >>> Settings.from_env({"JOBFLEET_NAMESPACES": "a, b", "POD_NAME": "x"}).namespaces
        ('a', 'b')
        >>> Settings.from_env({"JOBFLEET_NAMESPACE_QUOTAS": "shop=20,*=50"}).quotas.of("bank")
        50
        """
        given: dict[str, object] = {
            name: environment[variable(name)] for name in cls.model_fields if environment.get(variable(name))
        }
        if "namespaces" in given:
            given["namespaces"] = tuple(part.strip() for part in str(given["namespaces"]).split(",") if part.strip())
        if "namespace_quotas" in given:
            pairs = (part.partition("=") for part in str(given["namespace_quotas"]).split(",") if part.strip())
            given["namespace_quotas"] = {name.strip(): workers.strip() for name, _, workers in pairs}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            about = cls.model_fields[name].description
            msg = f"{variable(name)}={first['input']!r} is not valid: {first['msg']}. It means: {about}"
            raise SettingsError(msg) from error


def variable(name: str) -> str:
    """The environment variable of a setting.

    >>> variable("redis_url"), variable("pod_name")
    ('JOBFLEET_REDIS_URL', 'POD_NAME')
    """
    return "POD_NAME" if name == "pod_name" else f"JOBFLEET_{name.upper()}"
