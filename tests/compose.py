"""Reads compose files and the Dockerfile as Docker does, as far as ours go.

Variables, overlays that are merged, the stages of images; of other features, such as
`extends` or numbered stages, it knows nothing.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[1]
BASE = ROOT / "docker-compose.yml"
GPU = ROOT / "docker-compose.gpu.yml"
DOCKERFILE = ROOT / "Dockerfile"

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}")


class Refused(Exception):
    """A variable is missing or empty without which docker compose starts nothing."""


def read(*files: Path) -> dict[str, Any]:
    """The files merged, the later over the earlier, their variables untouched."""
    merged: dict[str, Any] = {}
    for file in files:
        merged = _merged(merged, yaml.safe_load(file.read_text()))
    return merged


def fill_in(project: Any, environment: Mapping[str, str]) -> Any:
    """The project with its variables replaced. Raises Refused."""
    if isinstance(project, dict):
        return {name: fill_in(value, environment) for name, value in project.items()}
    if isinstance(project, list):
        return [fill_in(value, environment) for value in project]
    if isinstance(project, str):
        return _VARIABLE.sub(lambda found: _value(found, environment), project)
    return project


def required(text: str) -> set[str]:
    """The variables that may not be missing."""
    return {found["name"] for found in _VARIABLE.finditer(text) if found["kind"] == "?"}


def _merged(under: Any, over: Any) -> Any:
    if isinstance(under, dict) and isinstance(over, dict):
        both = {name: _merged(under[name], over[name]) for name in under.keys() & over.keys()}
        return {**under, **over, **both}
    if isinstance(under, list) and isinstance(over, list):
        return [*under, *over]
    return over


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    value = environment.get(found["name"], "")
    if not value and found["kind"] == "?":
        raise Refused(f"{found['name']}: {found['text']}")
    return value or (found["text"] or "")


@dataclass
class Stage:
    """A stage of the Dockerfile: what it starts from, and what it does on top."""

    parent: str
    instructions: list[tuple[str, str]] = field(default_factory=list)


def stages() -> dict[str, Stage]:
    """The Dockerfile's stages by name, in order."""
    found: dict[str, Stage] = {}
    for line in DockerfileParser(str(DOCKERFILE)).structure:
        if line["instruction"] == "FROM":
            parent, _, name = line["value"].split()
            stage = found[name] = Stage(parent)
        elif line["instruction"] != "COMMENT":
            stage.instructions.append((line["instruction"], line["value"]))
    return found


def of_image(target: str, instruction: str) -> str | None:
    """The last word on `instruction` in the image `target`, its parents' included."""
    known = stages()
    while target in known:
        values = [value for name, value in known[target].instructions if name == instruction]
        if values:
            return values[-1]
        target = known[target].parent
    return None


def words(service: Mapping[str, Any]) -> list[str]:
    """The command line of a service whose image is built here, else its own command."""
    if "build" not in service:
        return list(service["command"])
    target = service["build"]["target"]
    entrypoint = json.loads(of_image(target, "ENTRYPOINT") or "[]")
    command = service.get("command") or json.loads(of_image(target, "CMD") or "[]")
    return [*entrypoint, *command]
