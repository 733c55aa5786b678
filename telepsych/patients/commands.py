"""`telepsych invite`: take somebody in, if they are not known yet, and print their way in."""

import json
import os
from datetime import date
from pathlib import Path

import click

from telepsych.core.actor import command
from telepsych.core.clock import SystemClock
from telepsych.core.database import WriteLock, open_engine
from telepsych.core.errors import Invalid, TelepsychError
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.crypto.vault import open_vault
from telepsych.patients import intake, service
from telepsych.web.bus import bus_for


@click.command()
@click.option("--email", required=True, help="Where the person signs in with.")
@click.option("--name", default="", help="Needed when the person is not known yet.")
@click.option("--birth-date", type=click.DateTime(["%Y-%m-%d"]), help="Needed when the person is not known yet.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def invite(email: str, name: str, birth_date: object, data: Path | None, as_json: bool) -> None:
    """Invite a patient, and take them in first if they are not known. The link works once, for 72 hours."""
    practice = _practice(Settings.load(data))
    born = date.fromisoformat(str(birth_date)[:10]) if birth_date else None
    try:
        patient_id, token = make_invitation(practice, email, name, born)
    except Invalid as problem:
        faults = "; ".join(f"{field}: {what}" for field, what in problem.fields.items())
        raise click.ClickException(faults or problem.sentence) from problem
    except TelepsychError as problem:
        raise click.ClickException(problem.sentence) from problem
    link = intake.link_for(practice, token, f"http://127.0.0.1:{os.environ.get('TELEPSYCH_HTTP_PORT', '8000')}")
    if as_json:
        click.echo(json.dumps({"patient": patient_id, "link": link}))
        return
    click.echo(f"{link}\n\nHand this link over yourself, on paper or by phone. It works once, for 72 hours.")


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


def _practice(settings: Settings) -> Practice:
    records = open_engine(settings.records, settings.write_wait)
    lock = WriteLock(records, settings.write_wait)
    return Practice(settings, records, open_vault(settings), SystemClock(), bus_for(records), lock)
