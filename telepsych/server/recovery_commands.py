"""`telepsych keys recovery new | status` and `telepsych keys recover`: before and after a keyring is lost."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

import click

from telepsych.core.clock import from_micros
from telepsych.core.options import data_option, json_option
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.crypto import recovery, recovery_wraps
from telepsych.crypto.recovery import RecoveryKey
from telepsych.crypto.vault import open_keystore
from telepsych.server import recovery_keys

Opened = Callable[[Settings], AbstractContextManager[Practice]]
share_option = click.option(
    "--share", "shares", multiple=True, help="A share; asked for when not given, which is safer."
)
SHEET = """\
Share {number} of 3 of the recovery key {name} of this practice. Any two bring everything back; one alone says nothing.
Keep it away from the host, from backups and from the other shares. It cannot be printed again.

{lines}
"""
PER_LINE = 5


@click.group("recovery")
def recovery_group() -> None:
    """The offline key that brings the practice back."""


@recovery_group.command("new")
@click.option("--replace", is_flag=True, help="Take the place of the recovery key that is there.")
@data_option
@json_option
@click.pass_obj
def new(opened: Opened, replace: bool, data: Path | None, as_json: bool) -> None:
    """Make the recovery key and print its three shares, once. Every data key gets a copy sealed to it."""
    with opened(Settings.load(data)) as practice:
        shares = recovery_keys.make(practice, replace=replace)
        name = recovery_wraps.state(practice.vault.keystore).name
    if as_json:
        click.echo(json.dumps({"recovery_key": name, "shares": shares}))
        return
    for number, share in enumerate(shares, 1):
        click.echo(SHEET.format(number=number, name=name, lines=_in_lines(share)))


@recovery_group.command("status")
@data_option
@json_option
def status(data: Path | None, as_json: bool) -> None:
    """Say whether there is a recovery key, and whether every data key has a copy for it."""
    keystore = open_keystore(Settings.load(data))
    found = recovery_wraps.state(keystore)
    if as_json:
        click.echo(json.dumps(asdict(found)))
    elif not found.name:
        click.echo("There is no recovery key. Run `telepsych keys recovery new` and hand out its shares.")
    else:
        since = from_micros(found.created_at).date()
        click.echo(f"Recovery key {found.name}, since {since} ({recovery.SUITE_NAME}).")
        click.echo(f"{found.kept} data keys, {found.missing} without a copy for it.")


@click.command("recover")
@share_option
@data_option
@json_option
@click.pass_obj
def recover(opened: Opened, shares: tuple[str, ...], data: Path | None, as_json: bool) -> None:
    """Make a new keyring in the place of a lost one, out of two shares and the keystore."""
    settings = Settings.load(data)
    key = key_of(shares)
    found = recovery_keys.recover(settings, key)
    with opened(settings) as practice:
        recovery_keys.note(practice, key, found)
    if as_json:
        click.echo(json.dumps(asdict(found)))
        return
    click.echo(f"{settings.keyring_file} is new, and {found.rewrapped} data keys are wrapped with it.")
    if found.lost:
        click.echo(f"{found.lost} data keys had no copy: what they seal opens only if the old keyring is found.")
    click.echo("Restart the practice. The two shares have been shown: make a new recovery key soon.")


def key_of(shares: Sequence[str]) -> RecoveryKey:
    """The key behind the shares given, or asked for one after the other."""
    typed = list(shares)
    while len(typed) < recovery.NEEDED:
        typed.append(click.prompt(f"Share {len(typed) + 1}", prompt_suffix=":\n", err=True))
    return recovery.join(typed)


def _in_lines(share: str) -> str:
    groups = share.split("-")
    return "\n".join("  " + "-".join(groups[at : at + PER_LINE]) for at in range(0, len(groups), PER_LINE))
