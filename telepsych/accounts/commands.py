"""`telepsych staff add`: take on somebody who works here, if they are not known yet, and print their way in."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import click

from telepsych.accounts import invitations, workforce
from telepsych.core.actor import WORKFORCE, Role, command
from telepsych.core.settings import Settings
from telepsych.core.work import Practice


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
