"""`telepsych invite`: take somebody in, if they are not known yet, and print their way in."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, datetime
from pathlib import Path

import click

from telepsych.accounts import invitations
from telepsych.core.actor import command
from telepsych.core.errors import Invalid
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.patients import intake, service


@click.command()
@click.option("--email", required=True, help="Where the person signs in with.")
@click.option("--name", default="", help="Needed when the person is not known yet.")
@click.option("--birth-date", type=click.DateTime(["%Y-%m-%d"]), help="Needed when the person is not known yet.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.pass_obj
def invite(
    opened: Callable[[Settings], AbstractContextManager[Practice]],
    email: str,
    name: str,
    birth_date: datetime | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Invite a patient, and take them in first if they are not known. The link works once, for 72 hours."""
    with opened(Settings.load(data)) as practice:
        patient_id, token = make_invitation(practice, email, name, birth_date.date() if birth_date else None)
        link = invitations.link_for(practice, token)
    click.echo(json.dumps({"patient": patient_id, "link": link}) if as_json else f"{link}\n\n{invitations.HAND_OVER}")


def make_invitation(practice: Practice, email: str, name: str, born: date | None) -> tuple[str, str]:
    """The patient's id and the token of a new invitation. Raises `Invalid` naming what is missing."""
    with practice.begin(command("invite")) as work:
        known = intake.person_of(work, email)
        patient = service.patient_of_person(work, known.id) if known else None
        if patient is None:
            if born is None:
                raise Invalid(fields={"birth-date": "needed to take in somebody who is not a patient yet"})
            patient = intake.take_in(work, name=name, birth_date=born, email=email)
        return str(patient.id), intake.invite_patient(work, patient.id)
