"""`telepsych db`: bring both databases to their newest revision, say where they are, write a new revision."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import click

from telepsych import migrations
from telepsych.core.errors import Unavailable
from telepsych.core.options import data_option, json_option
from telepsych.core.settings import Settings


@click.group()
def db() -> None:
    """The records and keystore databases."""


@db.command()
@data_option
def upgrade(data: Path | None) -> None:
    """Bring both databases to their newest revision."""
    settings = Settings.load(data)
    migrations.upgrade(settings)
    for chain in migrations.chains():
        click.echo(f"{chain.name}: {chain.head}")


@db.command()
@data_option
@json_option
def status(data: Path | None, as_json: bool) -> None:
    """Say at which revision each database is."""
    settings = Settings.load(data)
    found = {chain.name: _places(chain, settings) for chain in migrations.chains()}
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, place in found.items():
        click.echo(f"{name}: {place['at'] or 'no tables yet'}, newest {place['newest']}")


def _places(chain: migrations.Chain, settings: Settings) -> dict[str, str | None]:
    try:
        at = migrations.place_of(chain, chain.url(settings))
    except Unavailable:
        at = "unreachable"
    return {"at": at, "newest": chain.head}


@db.command()
@click.argument("words", default="first tables")
@click.option("--again", is_flag=True, help="Write the newest revision anew. Only while no practice has it.")
def revision(words: str, again: bool) -> None:
    """Write what is missing from each chain to match the models. Read and test it before you keep it."""
    for chain in migrations.chains():
        made = migrations.revise(chain, words, again=again)
        if made is not None:
            _tidy(made)
        click.echo(f"{chain.name}: {made.name if made else 'nothing to do'}")


def _tidy(place: Path) -> None:
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    if ruff:
        for step in (["check", "--silent", "--fix"], ["format", "--silent"]):
            subprocess.run([ruff, *step, str(place)], check=False)  # noqa: S603
