"""The CRDs, generated from the models: `python -m jobfleet_operator.crd [--check] [DIR]`.

pydantic's JSON Schema is not what the API server calls a structural schema. This module inlines
references, drops titles and null branches (the API server prunes nulls of optional fields itself),
turns the bounds of a field into a CEL rule that answers with a sentence, and adds what a CRD has
beyond a schema: names, printer columns and subresources.

The files are committed. `--check` regenerates them, compares, and exits with 1 when they differ.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from jobfleet_operator import models, names

Schema = dict[str, Any]

MARK = (
    "# Generated from operator/jobfleet_operator/models/ by `python -m jobfleet_operator.crd`.\n"
    "# Do not edit: change the models and generate again.\n"
)

KEPT = ("type", "description", "default", "format", "pattern", "minimum", "maximum", "minLength", "maxLength",
        "minItems", "maxItems", "enum", "nullable")  # fmt: skip
"""What is taken over as it is; the rest of JSON Schema has no place in a structural schema."""


def structural(model: type[BaseModel]) -> Schema:
    """The structural schema of a model, without references, titles and null branches."""
    schema = model.model_json_schema(by_alias=True)
    return _convert(schema, schema.get("$defs", {}))


def _convert(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    schema = _merge_reference(_merge_optional(schema), definitions)
    result = {key: schema[key] for key in KEPT if schema.get(key) is not None}
    result |= {key: value for key, value in schema.items() if key.startswith("x-kubernetes-")}
    if "const" in schema:
        result["enum"] = [schema["const"]]
    if "properties" in schema:
        result["properties"] = {
            name: _convert(part, definitions) if "anyOf" in part else _with_default(_convert(part, definitions))
            for name, part in schema["properties"].items()
        }
        required = [name for name in schema.get("required", []) if "default" not in schema["properties"][name]]
        if required:
            result["required"] = required
    if isinstance(schema.get("additionalProperties"), dict):
        result["additionalProperties"] = _convert(schema["additionalProperties"], definitions)
    if "items" in schema:
        result["items"] = _convert(schema["items"], definitions)
    rules = list(schema.get("rules", []))
    remarks = [result["description"]] if "description" in result else []
    if "remedy" in schema:
        remarks.append(f"From {result['minimum']} to {result['maximum']}.")
        rules.append(_bounds_rule(result, schema["remedy"]))
    default = result.get("default")
    if isinstance(default, int | str):
        remarks.append(f"Default: {default if isinstance(default, str) else json.dumps(default)}.")
    if remarks:  # `kubectl explain` shows nothing but the text
        result["description"] = " ".join(remarks)
    if rules:
        result["x-kubernetes-validations"] = rules
    return result


def _merge_optional(schema: Schema) -> Schema:
    """`anyOf: [X, null]` becomes X with the remarks that stood beside it."""
    if "anyOf" not in schema:
        return schema
    part: Schema
    (part,) = [part for part in schema["anyOf"] if part.get("type") != "null"]
    return part | {key: value for key, value in schema.items() if key != "anyOf"}


def _merge_reference(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """`$ref` becomes what it points to; what stands beside it wins, such as the field's description."""
    if "$ref" not in schema:
        return schema
    target = definitions[schema["$ref"].rsplit("/", 1)[-1]]
    return target | {key: value for key, value in schema.items() if key != "$ref"}


def _with_default(schema: Schema) -> Schema:
    """An object whose fields have defaults defaults to `{}`, so that they apply when it is left out.

    Not one that may be left out (`X | None`): that it is not there says something.
    """
    parts = schema.get("properties", {}).values()
    if schema.get("type") == "object" and "required" not in schema and any("default" in part for part in parts):
        return {"default": {}} | schema
    return schema


def _bounds_rule(schema: Schema, remedy: str) -> Schema:
    """Turn minimum and maximum into one rule with a sentence; the API server puts the path before it."""
    low, high = schema.pop("minimum"), schema.pop("maximum")
    return {"rule": f"self >= {low} && self <= {high}", "message": f"must be from {low} to {high}: {remedy}"}


def _column(name: str, kind: str, path: str, description: str, *, wide: bool = False) -> Schema:
    column = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | ({"priority": 1} if wide else {})


AGE = _column("Age", "date", ".metadata.creationTimestamp", "When the resource was made.")

QUEUE_COLUMNS = [
    _column("Health", "string", ".status.health", "Whether jobs get done; the conditions say why not."),
    _column("Waiting", "integer", ".status.waiting", "Jobs that are ready to be started."),
    _column("Active", "integer", ".status.active", "Jobs that a worker holds now."),
    _column("Delayed", "integer", ".status.delayed", "Jobs that become ready later."),
    _column("Failed", "integer", ".status.failed", "Failed jobs that are kept."),
    _column("Oldest", "date", ".status.oldestJobTime", "How long the oldest waiting job has waited."),
    _column("Rate", "string", ".status.rate", "Completed jobs per second or minute."),
    _column("Workers", "string", ".status.workers", "Live workers / wanted workers."),
    AGE,
]

POOL_COLUMNS = [
    _column("Desired", "integer", ".status.desiredReplicas", "Workers that the pool should have now."),
    _column("Ready", "integer", ".status.readyReplicas", "Workers that are ready."),
    _column("Busy", "integer", ".status.busyWorkers", "Workers that hold at least one job."),
    _column("Why", "string", ".status.reason", "Why the pool has this size."),
    AGE,
    _column("Queues", "string", ".spec.queues", "JobQueues that the workers take jobs from.", wide=True),
    _column("Min", "integer", ".spec.minReplicas", "Smallest size.", wide=True),
    _column("Max", "integer", ".spec.maxReplicas", "Largest size.", wide=True),
]

SCALE = {
    "specReplicasPath": ".spec.minReplicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}


def job_queue() -> Schema:
    """The CRD of JobQueue."""
    root = _root(
        "A queue of jobs in Redis: its limits, its retention, and how it is doing.",
        models.JobQueueSpec,
        models.JobQueueStatus,
        names.QUEUE_NAME_LIMIT,
    )
    root["x-kubernetes-validations"].append(
        {
            "rule": "!has(self.spec.deadLetterQueue) || self.spec.deadLetterQueue != self.metadata.name",
            "message": "spec.deadLetterQueue names this queue itself: name another JobQueue",
        }
    )
    root["properties"]["spec"]["default"] = {}
    called = _names(names.JOB_QUEUE, names.JOB_QUEUES, "jq")
    return _crd(called, root, QUEUE_COLUMNS, {"status": {}})


def worker_pool() -> Schema:
    """The CRD of WorkerPool."""
    root = _root(
        "A fleet of worker Pods that grows and shrinks with the backlog of its queues.",
        models.WorkerPoolSpec,
        models.WorkerPoolStatus,
        names.POOL_NAME_LIMIT,
    )
    root["required"] = ["spec"]
    called = _names(names.WORKER_POOL, names.WORKER_POOLS, "wp")
    return _crd(called, root, POOL_COLUMNS, {"status": {}, "scale": SCALE})


def _root(about: str, spec: type[BaseModel], status: type[BaseModel], name_limit: int) -> Schema:
    return {
        "type": "object",
        "description": about,
        "x-kubernetes-validations": [
            {
                "rule": f"size(self.metadata.name) <= {name_limit}",
                "message": f"metadata.name must have at most {name_limit} characters: choose a shorter name",
            },
            {
                "rule": "!self.metadata.name.contains('.')",
                "message": "metadata.name must not contain a dot: use letters, digits and hyphens",
            },
        ],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(spec),
            "status": structural(status),
        },
    }


def _names(kind: str, plural: str, short: str) -> Schema:
    return {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": plural,
        "singular": kind.lower(),
        "shortNames": [short],
        "categories": ["jobfleet"],
    }


def _crd(called: Schema, root: Schema, columns: list[Schema], subresources: Schema) -> Schema:
    version = {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": columns,
        "subresources": subresources,
        "schema": {"openAPIV3Schema": root},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{called['plural']}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": called,
            "versions": [version],
        },
    }


def render() -> dict[str, str]:
    """File name to content of every CRD."""
    crds = {names.JOB_QUEUES: job_queue(), names.WORKER_POOLS: worker_pool()}
    return {
        f"{plural}.yaml": MARK + yaml.dump(crd, sort_keys=False, width=110, Dumper=_Dumper)
        for plural, crd in crds.items()
    }


class _Dumper(yaml.SafeDumper):
    """Writes shared parts out in full instead of as YAML anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def main(arguments: list[str] | None = None) -> int:
    """Write or check the CRD files; the exit status is 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m jobfleet_operator.crd", description="Generate the CRDs.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("directory", nargs="?", type=Path, default=Path("crds"), metavar="DIR")
    options = parser.parse_args(arguments)
    files = {options.directory / name: text for name, text in render().items()}
    if not options.check:
        options.directory.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        sys.stderr.write(f"{path} is not what the models say: run `python -m jobfleet_operator.crd`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
