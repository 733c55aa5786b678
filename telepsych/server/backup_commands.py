"""`telepsych backup`, `backup list`, `backup verify` and `telepsych restore`, also as a drill."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from telepsych.core.clock import from_micros
from telepsych.core.errors import Invalid
from telepsych.core.options import data_option, json_option
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.crypto.recovery import RecoveryKey
from telepsych.server.backups import drill as drills
from telepsych.server.backups import making, manifest, places, restoring
from telepsych.server.backups.manifest import PARTS
from telepsych.server.backups.restoring import Found
from telepsych.server.recovery_commands import key_of, share_option

Opened = Callable[[Settings], AbstractContextManager[Practice]]
folder = click.Path(file_okay=False, path_type=Path)
file = click.Path(exists=True, dir_okay=False, path_type=Path)
folders_option = click.option("--from", "folders", type=folder, multiple=True, help="A folder that holds backups.")


@click.group(invoke_without_command=True)
@click.option("--records-to", type=folder, help="Folder for the records; else backup_records_to.")
@click.option("--keystore-to", type=folder, help="Folder for the keystore, on another volume; else backup_keystore_to.")
@click.option("--keyring-to", type=folder, help="Folder for the keyring, elsewhere again; else backup_keyring_to.")
@click.option("--together", is_flag=True, help="Allow two parts in one folder: whoever takes it has records and keys.")
@data_option
@json_option
@click.pass_context
def backup(
    ctx: click.Context,
    records_to: Path | None,
    keystore_to: Path | None,
    keyring_to: Path | None,
    together: bool,
    data: Path | None,
    as_json: bool,
) -> None:
    """Make a backup while the practice runs: three sealed files, each in a folder of its own, and a signed manifest."""
    if ctx.invoked_subcommand:
        return
    opened: Opened = ctx.obj
    settings = Settings.load(data)
    to = places.chosen(settings, records_to, keystore_to, keyring_to)
    with opened(settings) as practice:
        made = making.make(practice, to, together=together)
    if as_json:
        files = {part: str(to.of(part) / one.file) for part, one in made.parts.items()}
        click.echo(json.dumps({"id": made.id, "at": made.at, "files": files}))
        return
    click.echo(f"Backup {made.id}:")
    for part, one in made.parts.items():
        click.echo(f"  {part:<9} {_size(one.size):>10}  {to.of(part) / one.file}")


@backup.command("list")
@folders_option
@data_option
@json_option
@click.pass_obj
def list_backups(opened: Opened, folders: tuple[Path, ...], data: Path | None, as_json: bool) -> None:
    """List the backups in these folders, and which of their parts lie there."""
    settings = Settings.load(data)
    with opened(settings) as practice:
        signer = manifest.signer_name(practice.vault)
    lines = [_told(name, files, signer) for name, files in sorted(places.found_in(_where(settings, folders)).items())]
    if as_json:
        click.echo(json.dumps(lines, indent=2))
        return
    for line in lines:
        click.echo(
            f"{line['id']}  {', '.join(line['parts'])}{'' if line['genuine'] else '  NOT SIGNED BY THIS PRACTICE'}"
        )


@backup.command("verify")
@folders_option
@data_option
@json_option
@click.pass_obj
def verify(opened: Opened, folders: tuple[Path, ...], data: Path | None, as_json: bool) -> None:
    """Check signature, size and hash of every backup in these folders. Only a drill proves that they open."""
    settings = Settings.load(data)
    with opened(settings) as practice:
        signer = manifest.signer_name(practice.vault)
    found = places.found_in(_where(settings, folders))
    faults = [fault for files in found.values() for one in files if (fault := _fault(one, signer))]
    if as_json:
        click.echo(json.dumps({"backups": len(found), "faults": faults}, indent=2))
    else:
        for fault in faults:
            click.echo(fault, err=True)
        click.echo(f"{len(found)} backups, {len(faults)} faults")
    if faults:
        raise click.exceptions.Exit(1)


@click.command()
@click.option("--records", type=file, help="The records file.")
@click.option("--keystore", type=file, help="The keystore file; may be of a newer backup than the records.")
@click.option("--keyring", type=file, help="The keyring file. Without it a new keyring is made.")
@folders_option
@click.option(
    "--older-keystore", is_flag=True, help="Put up with a keystore older than the records: newer keys are lost."
)
@click.option("--drill", is_flag=True, help="Restore into a scratch place, prove everything, and throw it away.")
@share_option
@data_option
@json_option
@click.pass_obj
def restore(
    opened: Opened,
    records: Path | None,
    keystore: Path | None,
    keyring: Path | None,
    folders: tuple[Path, ...],
    older_keystore: bool,
    drill: bool,
    shares: tuple[str, ...],
    data: Path | None,
    as_json: bool,
) -> None:
    """Bring a practice back into an empty place, out of its sealed files and two shares."""
    settings = Settings.load(data)
    found = _chosen(settings, records, keystore, keyring, folders)
    key = key_of(shares)
    if drill:
        with opened(settings) as practice:
            report: dict[str, Any] = asdict(drills.drill(practice, found, key))
    else:
        report = _bring_back(opened, settings, found, key, older_keystore=older_keystore)
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    what = "The drill passed" if drill else f"The practice is back as it was at {_when(report['at'])}"
    rows = report["rows"] if drill else sum(report["rows"].values())
    click.echo(f"{what}: {rows} rows in {report['seconds']} s.")
    if not drill:
        _say_next(report)


def _bring_back(
    opened: Opened, settings: Settings, found: Found, key: RecoveryKey, *, older_keystore: bool
) -> dict[str, Any]:
    restored = restoring.restore(settings, found, key, older_keystore=older_keystore)
    with opened(settings) as practice:
        restoring.note(practice, restored)
    return asdict(restored)


def _say_next(report: dict[str, Any]) -> None:
    if report["destroyed_again"]:
        click.echo(
            f"{report['destroyed_again']} data keys were destroyed again: their patients' records stay shredded."
        )
    if report["lost_keys"]:
        click.echo(f"{report['lost_keys']} data keys had no copy: what they seal opens only with the old keyring.")
    click.echo("Every session and open invitation is ended. Run `telepsych doctor`, then start the practice.")


def _chosen(
    settings: Settings, records: Path | None, keystore: Path | None, keyring: Path | None, folders: Sequence[Path]
) -> Found:
    """The files given; else the newest of each part in the folders. Raises `Invalid` when there is none."""
    newest: dict[str, Path] = {}
    for _name, files in sorted(places.found_in(_where(settings, folders)).items()):
        newest |= {one.suffix.removeprefix("."): one for one in files}
    chosen = {part: given or newest.get(part) for part, given in zip(PARTS, (records, keystore, keyring), strict=True)}
    if records and keystore:
        chosen["keyring"] = keyring
    for part in ("records", "keystore"):
        if chosen[part] is None:
            raise Invalid(f"There is no {part} file. Name it with --{part}, or its folder with --from.")
    return Found(**chosen)  # type: ignore[arg-type]


def _where(settings: Settings, folders: Sequence[Path]) -> list[Path]:
    """The folders given, else those that the settings name."""
    named = (settings.backup_records_to, settings.backup_keystore_to, settings.backup_keyring_to)
    return list(folders) or [one for one in named if one]


def _told(name: str, files: Sequence[Path], signer: bytes) -> dict[str, Any]:
    try:
        at: int | None = manifest.read(manifest.beside(files[0]), signer).at
    except Invalid:
        at = None
    return {"id": name, "at": at, "parts": [one.suffix.removeprefix(".") for one in files], "genuine": at is not None}


def _fault(one: Path, signer: bytes) -> str:
    try:
        restoring.check_file(one, manifest.read(manifest.beside(one), signer).parts.get(one.suffix.removeprefix(".")))
    except Invalid as problem:
        return problem.sentence
    return ""


def _when(at: int) -> str:
    return f"{from_micros(at):%Y-%m-%d %H:%M} UTC"


def _size(size: int) -> str:
    return f"{size / 1024:.0f} KiB" if size < 10 * 1024 * 1024 else f"{size / 1024 / 1024:.0f} MiB"
