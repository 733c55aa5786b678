"""Clinical and legal content: versioned TOML under `config/`, checked against a schema when the program starts.

A schema is a frozen pydantic dataclass (or model) in a room's `content.py`; unknown fields are errors. A problem
names its file and field. Content ships inside the wheel; from a checkout it is read from the repository.
"""

import tomllib
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from telepsych.core.errors import Misconfigured

Schema = TypeVar("Schema")


class Content(BaseModel):
    """Base of every schema: frozen, and closed against unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Document(Content):
    """What every content file says of itself."""

    id: str
    version: str
    source: str
    reviewed_by: str
    """Who confirmed it for clinical use, or "unconfirmed"."""
    reviewed_on: date | None = None
    review_again_by: date | None = None


@cache
def config_dir() -> Path:
    """The folder that holds the content: inside the installed package, else in the repository."""
    package = Path(__file__).resolve().parent.parent
    for place in (package / "config", package.parent / "config"):
        if place.is_dir():
            return place
    raise Misconfigured("The config folder is missing from this installation.")


def parse(schema: type[Schema], raw: dict[str, Any], where: str) -> Schema:
    """Check one document. Raises `Misconfigured` naming the file and each wrong field."""
    try:
        return TypeAdapter(schema).validate_python(raw)
    except ValidationError as problem:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in problem.errors())
        raise Misconfigured(f"{where}: {faults}") from problem


def load(schema: type[Schema], path: str) -> Schema:
    """Read one content file, `path` being relative to the config folder."""
    place = config_dir() / path
    try:
        raw = tomllib.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError as problem:
        raise Misconfigured(f"config/{path}: the file is missing") from problem
    except tomllib.TOMLDecodeError as problem:
        raise Misconfigured(f"config/{path}: {problem}") from problem
    return parse(schema, raw, f"config/{path}")


def load_all(schema: type[Schema], folder: str) -> Iterator[Schema]:
    """Read every content file of a folder, in the order of their names."""
    for place in sorted((config_dir() / folder).glob("*.toml")):
        yield load(schema, f"{folder}/{place.name}")
