"""`telepsych keys shred`: destroy the keys of a record that two people signed away."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import UUID

import click

from telepsych.core.actor import command
from telepsych.core.options import data_option, json_option
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.patients import retention, shredding

Opened = Callable[[Settings], AbstractContextManager[Practice]]
OPERATOR = command("keys-shred")


@click.command("shred")
@click.argument("decision", type=click.UUID, required=False)
@click.option("--yes", is_flag=True, help="Do not ask before the keys are destroyed.")
@data_option
@json_option
@click.pass_obj
def shred(opened: Opened, decision: UUID | None, yes: bool, data: Path | None, as_json: bool) -> None:
    """Destroy the keys of a record, by the DECISION that two people signed. Without one, say what is signed."""
    with opened(Settings.load(data)) as practice:
        if decision is None:
            _say_signed(practice, as_json)
            return
        if not yes:
            click.confirm("Nothing of this record will ever open again, in no copy. Go on?", abort=True)
        gone = shredding.shred(practice, OPERATOR, decision)
    days = retention.retention().keystore_backup_days
    if as_json:
        click.echo(json.dumps({"patient": str(gone.patient_id), "keys": gone.keys, "backups_days": days}))
        return
    click.echo(
        f"{gone.keys} data keys are destroyed. Keystore backups made before now must be gone within {days} days."
    )


def _say_signed(practice: Practice, as_json: bool) -> None:
    with practice.begin(OPERATOR, writes=False) as work:
        signed = [str(one.id) for one in shredding.pending(work) if one.signed_at is not None]
    if as_json:
        click.echo(json.dumps({"signed": signed}))
        return
    click.echo("\n".join(signed) or "No record is signed away.")
