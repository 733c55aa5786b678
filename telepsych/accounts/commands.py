"""`telepsych staff …`: take on who works here, list them, change what they do, let them go, let them back in."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import click

from telepsych.accounts import invitations, offboarding, people, recovery, service, workforce
from telepsych.accounts.models import HowVerified, Person
from telepsych.core.actor import WORKFORCE, Role, command
from telepsych.core.errors import Invalid
from telepsych.core.settings import Settings
from telepsych.core.work import Practice, Work

Opened = Callable[[Settings], AbstractContextManager[Practice]]
DATA = click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder.")
JSON = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
EMAIL = click.option("--email", required=True, help="Where the person signs in with.")
A_ROLE = click.Choice([role.value for role in Role if role in WORKFORCE])


@click.command()
@click.option("--email", required=True, help="Where the person signs in with.")
@click.option("--name", default="", help="Needed when the person is not known yet.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice([role.value for role in Role if role in WORKFORCE]),
    help="What they do here; may be given more than once. Needed when the person is not known yet.",
)
@click.option("--title", default="", help='How patients see them, such as "psychiatrist".')
@click.option("--team", default="", help="Their team; made when there is none of this name. Else the default team.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.pass_obj
def add(
    opened: Callable[[Settings], AbstractContextManager[Practice]],
    email: str,
    name: str,
    roles: tuple[str, ...],
    title: str,
    team: str,
    data: Path | None,
    as_json: bool,
) -> None:
    """Invite somebody who works here, and take them on first if they are not known. The link works once, for 72 hours.

    For who works here already, give the e-mail address alone: a new link lets them set a new password.
    """
    asked = frozenset(Role(role) for role in roles)
    with opened(Settings.load(data)) as practice:
        with practice.begin(command("staff-add")) as work:
            done = workforce.welcome(work, email=email, name=name, roles=asked, title=title, team=team)
        link = invitations.link_for(practice, done.token)
    if as_json:
        click.echo(json.dumps({"person": str(done.person_id), "team": done.team or None, "link": link}))
        return
    place = f"Their team: {done.team}. " if done.team else ""
    click.echo(f"{link}\n\n{place}{invitations.HAND_OVER}")


@click.command("list")
@DATA
@JSON
@click.pass_obj
def list_people(opened: Opened, data: Path | None, as_json: bool) -> None:
    """List those who work or worked here: what they do, their teams, and when they left."""
    with opened(Settings.load(data)) as practice, practice.begin(command("staff-list"), writes=False) as work:
        found = people.everybody(work)
    if as_json:
        told = [
            {
                "person": str(one.id),
                "name": one.name,
                "roles": one.roles,
                "teams": one.teams,
                "left": one.left_at is not None,
            }
            for one in found
        ]
        click.echo(json.dumps(told, indent=2))
        return
    for one in found:
        doing = "left" if one.left_at is not None else ", ".join(one.roles)
        click.echo(f"{one.name:<32} {doing:<32} {', '.join(one.teams)}".rstrip())


@click.command()
@EMAIL
@click.option("--give", type=A_ROLE, help="What they do from now on, besides what they do already.")
@click.option("--end", type=A_ROLE, help="What they do no longer.")
@DATA
@click.pass_obj
def role(opened: Opened, email: str, give: str | None, end: str | None, data: Path | None) -> None:
    """Give a role to somebody who works here, or end one. They are signed out everywhere and sign in again."""
    if (give is None) == (end is None):
        raise Invalid(fields={"give": "say either --give or --end"})
    with opened(Settings.load(data)) as practice, practice.begin(command("staff-role")) as work:
        person = _worker(work, email)
        if give is not None:
            people.give_role(work, person.id, Role(give))
        else:
            held = people.sheet(work, person.id).roles
            grant = next((one.id for one in held if one.holds and one.label == end), None)
            if grant is None:
                raise Invalid(fields={"end": "they do not hold this role"})
            people.end_role(work, person.id, grant)
    click.echo("Done. They are signed out everywhere and sign in again.")


@click.command()
@EMAIL
@DATA
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.pass_obj
def leave(opened: Opened, email: str, data: Path | None, yes: bool) -> None:
    """End everything somebody could get in by: sessions, factors, invitations, roles, teams. What they did stays."""
    with opened(Settings.load(data)) as practice:
        with practice.begin(command("staff-leave"), writes=False) as work:
            departure = offboarding.departure_of(work, _worker(work, email).id)
        if not yes:
            click.confirm(f"This ends {departure.sessions} sessions and can't be taken back. Go on?", abort=True)
        with practice.begin(command("staff-leave")) as work:
            offboarding.leave(work, _worker(work, email).id)
    visits = sum(1 for one in departure.after if one.at is not None)
    click.echo("Done. They can't get in any more.")
    if visits:
        click.echo(f"Visits still booked with them: {visits}. A manager finds them under People.")


@click.command()
@EMAIL
@click.option("--how", required=True, type=click.Choice([one.value for one in HowVerified]), help="How you made sure.")
@click.option("--note", required=True, help="What you saw or asked, in a sentence.")
@DATA
@JSON
@click.pass_obj
def recover(opened: Opened, email: str, how: str, note: str, data: Path | None, as_json: bool) -> None:
    """End every old way in of somebody who works here, and print a new one. For when no other manager can do it."""
    with opened(Settings.load(data)) as practice:
        with practice.begin(command("staff-recover")) as work:
            person_id = _worker(work, email).id
            token = recovery.recover(work, person_id, HowVerified(how), note)
        link = invitations.link_for(practice, token)
    told = json.dumps({"person": str(person_id), "link": link})
    click.echo(told if as_json else f"{link}\n\n{invitations.HAND_OVER}")


def _worker(work: Work, email: str) -> Person:
    """Whoever works here and signs in with this address. Raises `Invalid`."""
    person = service.find_by_email(work, email)
    if person is None or not service.roles_of(work, person.id) & WORKFORCE:
        raise Invalid(fields={"email": "nobody who works here signs in with it"})
    return person
