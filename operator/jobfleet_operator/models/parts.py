"""What all models are made of, and the remarks that steer the CRD.

Two kinds of remark in `json_schema_extra`:

- `remedy`: said by the API server when the bounds of a field are broken.
- `rules`: further CEL rules of an object or list.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Remarks = dict[str, Any]


def remark(*, remedy: str = "", rules: list[dict[str, str]] | None = None) -> Remarks:
    """Remarks for the CRD beside a field or a model; see the module's docstring."""
    return ({"remedy": remedy} if remedy else {}) | ({"rules": rules} if rules else {})


def rule(cel: str, message: str) -> dict[str, str]:
    """A CEL rule, and the sentence that the API server says when it does not hold."""
    return {"rule": cel, "message": message}


class Part(BaseModel):
    """Base of all parts: camelCase outside, unknown fields ignored, values frozen."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


NAME_PATTERN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
SUBDOMAIN_PATTERN = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
ObjectName = Annotated[str, Field(max_length=63)]


class Condition(Part):
    """One observation about the resource, after the conventions of Kubernetes."""

    type: str = Field(description="What is said something about, such as Ready.")
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: str = Field(description="Why, as one CamelCase word.")
    message: str = Field(description="Why, as a sentence for people.")
    observed_generation: int | None = Field(
        default=None, description="metadata.generation of the resource that this was said about."
    )
    last_transition_time: str = Field(
        description="When status changed last.", json_schema_extra={"format": "date-time"}
    )


CONDITIONS: Remarks = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
}
