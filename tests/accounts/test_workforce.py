"""Taking people on who work in the practice, from nobody at all to a manager who is signed in."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyotp
import pytest
from click.testing import CliRunner
from sqlalchemy import select
from support.cast import Cast

from accounts.test_sign_in import PASSWORD, Visitor, seed_on
from telepsych import cli
from telepsych.accounts import invitations, workforce
from telepsych.accounts import service as accounts
from telepsych.accounts.models import Team
from telepsych.accounts.workforce import Welcome
from telepsych.app import create_app, open_practice
from telepsych.core.actor import Actor, Role, command
from telepsych.core.errors import Conflict, Invalid, Refused
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.notifications.models import OutboxRow

CLINICIAN = {"name": "Dr. Sage Sample", "roles": {Role.CLINICIAN}, "title": "psychiatrist"}


def welcome(practice: Practice, email: str, **given: Any) -> Welcome:
    with practice.begin(command("test")) as work:
        return workforce.welcome(work, email=email, **given)


def teams(practice: Practice) -> dict[str, bool]:
    with practice.begin(command("test"), writes=False, public="test") as work:
        return {team.name: team.is_default for team in work.session.scalars(select(Team))}


def team_ids(practice: Practice, person: Welcome) -> frozenset[Any]:
    with practice.begin(command("test"), writes=False, public="test") as work:
        return accounts.teams_of(work, person.person_id)


def test_the_first_person_founds_the_team_and_the_next_ones_join_it(practice: Practice) -> None:
    sage = welcome(practice, "sage@example.org", **CLINICIAN)
    ash = welcome(practice, "ash@example.org", name="Ash Sample", roles={Role.STAFF, Role.MANAGER})
    assert (sage.team, ash.team, teams(practice)) == ("Care team", "Care team", {"Care team": True})
    assert team_ids(practice, sage) == team_ids(practice, ash)
    with practice.begin(Actor(id=None, label="public:invitation"), writes=False, public="invitation") as work:
        invited = invitations.look_up(work, sage.token)
        assert (invited.name, invited.workforce) == ("Dr. Sage Sample", True)
        assert accounts.roles_of(work, ash.person_id) == {Role.STAFF, Role.MANAGER}
        kinds = [(row.person_id, row.kind) for row in work.session.scalars(select(OutboxRow))]
        assert sorted(kinds) == sorted([(sage.person_id, "invitation"), (ash.person_id, "invitation")])


def test_a_named_team_is_joined_or_made(practice: Practice) -> None:
    assert welcome(practice, "sage@example.org", team="Elm Team", **CLINICIAN).team == "Elm Team"
    assert welcome(practice, "fern@example.org", team="Oak Team", **CLINICIAN).team == "Oak Team"
    assert welcome(practice, "hazel@example.org", team=" elm team ", **CLINICIAN).team == "Elm Team"
    assert welcome(practice, "linden@example.org", **CLINICIAN).team == "Elm Team"
    assert teams(practice) == {"Elm Team": True, "Oak Team": False}


def test_compliance_alone_opens_no_records_and_belongs_to_no_team(practice: Practice) -> None:
    briar = welcome(practice, "briar@example.org", name="Briar Sample", roles={Role.COMPLIANCE})
    assert (briar.team, team_ids(practice, briar), teams(practice)) == ("", frozenset(), {})
    with pytest.raises(Invalid) as fault:
        welcome(practice, "reed@example.org", name="Reed Sample", roles={Role.COMPLIANCE}, team="Care team")
    assert set(fault.value.fields) == {"team"}


def test_who_works_here_gets_a_new_invitation_and_nothing_else(cast: Cast) -> None:
    practice = cast.practice
    first, second = (welcome(practice, "sage@example.org") for _ in range(2))
    assert first.person_id == second.person_id == cast.clinician.person_id
    nobody = Actor(id=None, label="public:invitation")
    with practice.begin(nobody, writes=False, public="invitation") as work:
        assert invitations.look_up(work, second.token).email == "sage@example.org"
        with pytest.raises(Invalid):
            invitations.look_up(work, first.token)
    with pytest.raises(Conflict, match="already"):
        welcome(practice, "sage@example.org", roles={Role.MANAGER})
    with pytest.raises(Conflict, match="Somebody already signs in"):
        welcome(practice, "juniper@example.org", **CLINICIAN)


@pytest.mark.parametrize(
    ("email", "wrong", "field"),
    [
        ("sage", {}, "email"),
        ("sage@example.org", {"name": " "}, "name"),
        ("sage@example.org", {"roles": set()}, "role"),
        ("sage@example.org", {"roles": {Role.CLINICIAN, Role.PATIENT}}, "role"),
    ],
)
def test_what_is_missing_is_named_and_nothing_is_kept(
    practice: Practice, email: str, wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as fault:
        welcome(practice, email, **CLINICIAN | wrong)
    assert set(fault.value.fields) == {field}
    assert teams(practice) == {}


def test_only_those_who_manage_people_take_somebody_on(cast: Cast) -> None:
    with cast.begin(cast.manager, fresh=True) as work:
        assert workforce.welcome(work, email="fern2@example.org", **CLINICIAN).team
    for who in (cast.staff, cast.clinician, cast.patient):
        with pytest.raises(Refused), cast.begin(who) as work:
            workforce.welcome(work, email="another@example.org", **CLINICIAN)


# The commands, on a practice that was just made


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Runs a command on a new practice."""
    monkeypatch.setenv("TELEPSYCH_DATA", str(tmp_path / "new"))
    monkeypatch.delenv("TELEPSYCH_HTTP_PORT", raising=False)

    def told(*words: str) -> tuple[int, str]:
        answer = CliRunner().invoke(cli.main, words)
        return answer.exit_code, answer.output

    assert told("init")[0] == 0
    return told


HAZEL = ("--email", "hazel@example.org", "--name", "Hazel Sample", "--role", "manager")
SORREL = ("--email", "sorrel@example.org", "--name", "Sorrel Sample", "--birth-date", "1980-01-31")


def test_a_new_practice_gets_somebody_who_signs_in_and_a_patient(run: Callable[..., tuple[int, str]]) -> None:
    code, said = run("invite", *SORREL)
    assert (code, "There is no care team yet" in said) == (1, True)
    code, said = run("staff", "add", *HAZEL, "--json")
    assert code == 0, said
    made = json.loads(said)
    assert (set(made), made["team"]) == ({"person", "team", "link"}, "Care team")
    assert made["link"].startswith("http://127.0.0.1:8000/invitation#")
    code, said = run("invite", *SORREL)
    assert (code, "Hand this link over yourself" in said) == (0, True)

    practice = open_practice(Settings.load())
    try:
        visitor = Visitor(create_app(practice=practice))
        answer = visitor.post("/invitation/password", token=made["link"].partition("#")[2], password=PASSWORD)
        assert answer.location.startswith("/sign-in/authenticator")
        page = visitor.get("/sign-in/authenticator").get_data(as_text=True)
        done = visitor.post("/sign-in/authenticator", code=pyotp.TOTP(seed_on(page)).now())
        assert done.location == "/account/security/sheet"
        assert "Sorrel Sample" in visitor.get("/patients").get_data(as_text=True)
        with practice.begin(command("test"), writes=False, public="test") as work:
            assert [row.kind for row in work.session.scalars(select(OutboxRow))] == [
                "invitation",
                "invitation",
                "new-device",
            ]
    finally:
        practice.records.dispose()


def test_the_command_speaks_to_people_and_names_the_option_that_is_wrong(run: Callable[..., tuple[int, str]]) -> None:
    code, said = run("staff", "add", *HAZEL)
    assert code == 0
    assert said.splitlines()[0].startswith("http://127.0.0.1:8000/invitation#")
    assert "Their team: Care team. Hand this link over yourself" in said
    assert run("staff", "add", "--email", "hazel@example.org")[0] == 0
    code, said = run("staff", "add", "--email", "ash@example.org", "--name", "Ash")
    assert (code, said) == (1, "Error: role: Please say what they do here.\n")
    code, said = run("staff", "add", "--email", "ash@example.org", "--role", "patient")
    assert (code, "'patient' is not one of" in said) == (2, True)
    code, said = run("invite", "--email", "nobody@example.org")
    assert (code, "birth-date: needed" in said) == (1, True)


def test_the_other_staff_commands_do_what_the_page_does(run: Callable[..., tuple[int, str]]) -> None:
    ash = ("--email", "ash@example.org")
    assert run("staff", "add", *HAZEL)[0] == 0
    assert run("staff", "add", *ash, "--name", "Ash Sample", "--role", "staff")[0] == 0
    assert run("staff", "role", *ash, "--give", "manager")[0] == 0
    assert run("staff", "role", "--email", "hazel@example.org", "--end", "manager")[0] == 1, "all she does here"
    assert run("staff", "role", *ash, "--give", "staff", "--end", "staff")[0] == 1, "one or the other"
    code, said = run("staff", "recover", *ash, "--how", "in-person", "--note", "Passport seen, I know him.")
    assert (code, "/invitation#" in said) == (0, True)
    assert run("staff", "recover", *ash, "--how", "e-mail", "--note", "He wrote to me from his address.")[0] == 2
    assert run("staff", "leave", "--email", "hazel@example.org", "--yes")[0] == 0
    code, said = run("staff", "leave", *ash, "--yes")
    assert (code, "only manager" in said) == (1, True)
    listed = json.loads(run("staff", "list", "--json")[1])
    assert [(one["name"], one["roles"], one["left"]) for one in listed] == [
        ("Ash Sample", ["staff", "manager"], False),
        ("Hazel Sample", [], True),
    ]
