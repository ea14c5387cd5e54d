"""The operator's own settings, from its environment."""

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class SettingsError(Exception):
    """A variable of the environment is missing or wrong; the message names it and the remedy."""


class Settings(BaseModel):
    """Every variable that the operator reads, JOBFLEET_ before its name unless `POD_NAME`."""

    model_config = ConfigDict(frozen=True)

    redis_url: str = Field(default="", description="Redis of all JobQueues that name none of their own.")
    namespaces: tuple[str, ...] = Field(default=(), description="Namespaces to serve; none: all.")
    operator_namespace: str = Field(default="default", description="Where the Lease is.")
    leader_election: bool = Field(default=True, description="false: this replica always acts.")
    health_port: int = Field(default=8080, ge=0, le=65535, description="Port of /livez and /readyz.")
    log_format: str = Field(default="text", pattern="^(text|json)$", description="text or json.")
    log_level: str = Field(
        default="info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error."
    )
    pod_name: str = Field(default="", description="Name of this replica; without it the host's name is used.")

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            SettingsError: a value is not valid.

        >>> Settings.from_env({"JOBFLEET_NAMESPACES": "a, b", "POD_NAME": "x"}).namespaces
        ('a', 'b')
        """
        given: dict[str, object] = {
            name: environment[variable(name)] for name in cls.model_fields if environment.get(variable(name))
        }
        if "namespaces" in given:
            given["namespaces"] = tuple(part.strip() for part in str(given["namespaces"]).split(",") if part.strip())
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
