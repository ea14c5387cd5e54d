"""Files of the chart that repeat something of the repository."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "jobfleet"


def test_the_resource_definitions_of_the_chart_are_those_of_the_repository() -> None:
    ours = {path.name: path.read_text() for path in (CHART / "files" / "crds").glob("*.yaml")}
    theirs = {path.name: path.read_text() for path in (ROOT / "crds").glob("*.yaml")}
    assert ours == theirs, "copy them: cp crds/*.yaml charts/jobfleet/files/crds/"


def test_the_chart_has_the_version_of_the_product() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    described = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (described["version"], described["appVersion"]) == (project["version"], project["version"])


def test_the_schema_is_a_schema_and_takes_the_defaults() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(values(), schema)


def test_the_readme_of_the_chart_names_every_value_with_its_default() -> None:
    table = dict(re.findall(r"^\| `([^`]+)` \| `([^`]*)` \|", (CHART / "README.md").read_text(), re.MULTILINE))
    expected = {name: json.dumps(value) for name, value in leaves(values())}
    assert table == expected


def values() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return loaded


def leaves(node: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every value with its dotted path; resources count as one."""
    if not isinstance(node, dict) or not node or path.endswith("resources"):
        return [(path, node)]
    return [leaf for key, below in node.items() for leaf in leaves(below, f"{path}.{key}" if path else key)]
