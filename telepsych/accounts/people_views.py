"""Managers' pages about those who work here: the list, one person, taking on, leaving, a new way in."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.accounts import devices, invitations, offboarding, people, policy, recovery, workforce
from telepsych.accounts.forms import Form, asked, day_of, faults
from telepsych.accounts.models import FactorKind, Person
from telepsych.accounts.people import Listed, Sheet
from telepsych.core.actor import WORKFORCE, Role
from telepsych.core.clock import to_micros
from telepsych.core.errors import Conflict, Invalid, NotFound
from telepsych.core.ids import parse_id
from telepsych.core.words import gettext
from telepsych.web.doors import begin, practice, signed_in, visitor

bp = Blueprint("people", __name__)
ENTRIES = ("name", "email", "title", "team")


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """The list, what was looked for, and whether it shows who left."""

    found: list[Listed]
    text: str
    with_left: bool


@dataclass(frozen=True, slots=True)
class PersonPage:
    """One person, what may be given to them, and what is wrong with what was asked for."""

    sheet: Sheet
    roles: list[tuple[str, str]]
    teams: list[tuple[UUID, str]]
    may_change: bool
    form: Form


# The list


@bp.get("/people")
@signed_in(Role.MANAGER)
def index() -> ResponseReturnValue:
    return _list("", with_left=request.args.get("left") == "1")


@bp.post("/people")
@signed_in(Role.MANAGER)
def look_up() -> ResponseReturnValue:
    """A name looked for is posted: in an address it would lie in logs and histories."""
    return _list(request.form.get("text", "").strip()[:200], with_left=request.form.get("left") == "1")


@bp.get("/people/new")
@signed_in(Role.MANAGER)
def new() -> ResponseReturnValue:
    return _new_page(Form())


@bp.post("/people/new")
@signed_in(Role.MANAGER)
def create() -> ResponseReturnValue:
    typed: dict[str, Any] = {name: request.form.get(name, "").strip() for name in ENTRIES}
    roles = request.form.getlist("role")
    try:
        chosen = [_role(one) for one in roles]
        with begin() as work:
            done = workforce.welcome(work, roles=chosen, **typed)
    except (Invalid, Conflict) as error:
        return _new_page(Form(typed | {"role": roles}, faults(error, "email"))), error.status
    return _link(done.person_id, done.token)


# One person


@bp.get("/people/<person_id>")
@signed_in(Role.MANAGER)
def person(person_id: str) -> ResponseReturnValue:
    return _person(parse_id(person_id))


@bp.post("/people/<person_id>/roles")
@signed_in(Role.MANAGER)
def give_role(person_id: str) -> ResponseReturnValue:
    who, typed = parse_id(person_id), asked("role", "until")
    try:
        with begin() as work:
            people.give_role(work, who, _role(typed["role"]), _end_of_day(typed["until"]))
    except (Invalid, Conflict) as error:
        return _person(who, Form(typed, faults(error, "role"))), error.status
    return redirect(url_for("people.person", person_id=who), 303)


@bp.post("/people/<person_id>/roles/<grant_id>/end")
@signed_in(Role.MANAGER)
def end_role(person_id: str, grant_id: str) -> ResponseReturnValue:
    who = parse_id(person_id)
    try:
        with begin() as work:
            people.end_role(work, who, parse_id(grant_id))
    except Conflict as error:
        return _person(who, Form({}, {"roles": error.sentence})), error.status
    return redirect(url_for("people.person", person_id=who), 303)


@bp.post("/people/<person_id>/teams")
@signed_in(Role.MANAGER)
def join_team(person_id: str) -> ResponseReturnValue:
    who, typed = parse_id(person_id), asked("team")
    try:
        with begin() as work:
            people.join_team(work, who, parse_id(typed["team"]))
    except (NotFound, Conflict) as error:
        said = error.sentence if isinstance(error, Conflict) else gettext("Please choose a team.")
        return _person(who, Form(typed, {"team": said})), 422
    return redirect(url_for("people.person", person_id=who), 303)


@bp.post("/people/<person_id>/teams/<member_id>/end")
@signed_in(Role.MANAGER)
def leave_team(person_id: str, member_id: str) -> ResponseReturnValue:
    who = parse_id(person_id)
    with begin() as work:
        people.leave_team(work, who, parse_id(member_id))
    return redirect(url_for("people.person", person_id=who), 303)


@bp.post("/people/<person_id>/sessions/<session_id>/end")
@signed_in(Role.MANAGER)
def end_session(person_id: str, session_id: str) -> ResponseReturnValue:
    who = parse_id(person_id)
    with begin() as work:
        devices.end(work, who, parse_id(session_id))
    return redirect(url_for("people.person", person_id=who), 303)


@bp.post("/people/<person_id>/sessions/end")
@signed_in(Role.MANAGER)
def end_sessions(person_id: str) -> ResponseReturnValue:
    who = parse_id(person_id)
    with begin() as work:
        devices.end_others(work, who)
    return redirect(url_for("people.person", person_id=who), 303)


@bp.post("/people/<person_id>/invitation")
@signed_in(Role.MANAGER)
def invite(person_id: str) -> ResponseReturnValue:
    who = parse_id(person_id)
    with begin() as work:
        people.worker_here(work, who)
        token = invitations.invite(work, who)
    return _link(who, token)


# A new way in, and the way out


@bp.get("/people/<person_id>/recovery")
@signed_in(Role.MANAGER)
def recovery_page(person_id: str) -> ResponseReturnValue:
    return _recovery(parse_id(person_id), Form())


@bp.post("/people/<person_id>/recovery")
@signed_in(Role.MANAGER)
def recover(person_id: str) -> ResponseReturnValue:
    who, typed = parse_id(person_id), asked("how", "note")
    try:
        with begin() as work:
            people.worker_here(work, who)
            token = recovery.recover(work, who, recovery.how_of(typed["how"]), typed["note"])
    except Invalid as error:
        return _recovery(who, Form(typed, faults(error, "note"))), error.status
    return _link(who, token)


@bp.get("/people/<person_id>/leaving")
@signed_in(Role.MANAGER)
def leaving(person_id: str) -> ResponseReturnValue:
    return _leaving(parse_id(person_id), {})


@bp.post("/people/<person_id>/leaving")
@signed_in(Role.MANAGER)
def leave(person_id: str) -> ResponseReturnValue:
    who = parse_id(person_id)
    try:
        with begin() as work:
            offboarding.leave(work, who)
    except Conflict as error:
        return _leaving(who, {"leave": error.sentence}), error.status
    return redirect(url_for("people.leaving", person_id=who), 303)


# What the pages show


def role_words() -> dict[str, str]:
    """What the roles of the workforce are called."""
    return {
        Role.CLINICIAN: gettext("Clinician"),
        Role.STAFF: gettext("Staff"),
        Role.MANAGER: gettext("Manager"),
        Role.COMPLIANCE: gettext("Compliance officer"),
        Role.PATIENT: gettext("Patient"),
        Role.GUARDIAN: gettext("Guardian"),
        Role.GUEST: gettext("Guest"),
    }


def factor_words() -> dict[str, str]:
    """What the kinds of factors are called."""
    return {
        FactorKind.PASSKEY: gettext("Passkeys"),
        FactorKind.PASSWORD: gettext("Password"),
        FactorKind.TOTP: gettext("Authenticator"),
        FactorKind.RECOVERY: gettext("Recovery sheet"),
    }


def _list(text: str, *, with_left: bool) -> str:
    with begin(writes=False) as work:
        everybody = people.everybody(work)
    words = text.casefold().split()
    found = [one for one in everybody if (with_left or one.left_at is None) and _fits(one, words)]
    return render_template("accounts/people.html", page=PeoplePage(found, text, with_left), role_words=role_words())


def _fits(one: Listed, words: list[str]) -> bool:
    said = role_words()
    told = " ".join([one.name, one.title, *one.teams, *(said[role] for role in one.roles)]).casefold()
    return all(word in told for word in words)


def _new_page(form: Form) -> str:
    with begin(writes=False) as work:
        teams = [("", gettext("The default team")), *((name, name) for _, name in people.teams(work))]
    return render_template("accounts/new_person.html", form=form, teams=teams, roles=_roles())


def _person(person_id: UUID, form: Form | None = None) -> str:
    with begin(writes=False) as work:
        sheet = people.sheet(work, person_id)
        mine = {one.label for one in sheet.teams if one.holds}
        teams = [(id, name) for id, name in people.teams(work) if name not in mine]
        may_change = bool(policy.can_change_roles(work.actor, person_id))
    roles = [(value, said) for value, said in _roles() if value not in sheet.held]
    page = PersonPage(sheet, roles, teams, may_change, form or Form())
    words = {"role_words": role_words(), "factor_words": factor_words(), "how_words": dict(recovery.how_words())}
    return render_template("accounts/person.html", page=page, **words)


def _recovery(person_id: UUID, form: Form) -> str:
    who, ways = _worker(person_id), recovery.how_words()
    action, back = url_for("people.recover", person_id=person_id), url_for("people.person", person_id=person_id)
    return render_template(
        "accounts/recovery.html", name=who.name, form=form, ways=ways, action=action, back=back, here="people"
    )


def _leaving(person_id: UUID, errors: dict[str, str]) -> str:
    with begin(writes=False) as work:
        who = people.worker(work, person_id)
        departure = offboarding.departure_of(work, person_id)
    itself = visitor().actor.id == person_id
    return render_template("accounts/leaving.html", person=who, departure=departure, errors=errors, itself=itself)


def _link(person_id: UUID, token: str) -> str:
    link = invitations.link_for(practice, token, request.host_url)
    back = url_for("people.person", person_id=person_id)
    return render_template("accounts/handed_over.html", link=link, back=back, here="people")


def _worker(person_id: UUID) -> Person:
    with begin(writes=False) as work:
        return people.worker_here(work, person_id)


# What was typed


def _roles() -> list[tuple[str, str]]:
    return [(role.value, said) for role, said in role_words().items() if role in WORKFORCE]  # type: ignore[attr-defined]


def _role(text: str) -> Role:
    if text not in {role.value for role in WORKFORCE}:
        raise Invalid(fields={"role": gettext("Please choose what they do here.")})
    return Role(text)


def _end_of_day(text: str) -> int | None:
    """The end of a day where the practice is; None for no day."""
    if not text:
        return None
    midnight = datetime.combine(day_of(text, "until") + timedelta(days=1), time(), practice.settings.tz)
    return to_micros(midnight)
