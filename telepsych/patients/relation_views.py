"""Staff's pages about who acts for a patient and which teams care for them. Every change asks for a fresh factor."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.accounts import invitations
from telepsych.core.actor import Compartment, Role
from telepsych.core.clock import local_date, to_micros
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.ids import parse_id
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import care_teams, intake, policy, proxies, relations, service, supporters
from telepsych.patients.care_teams import TeamLine
from telepsych.patients.forms import InvitationPage, faults_of, typed_in
from telepsych.patients.models import Authority
from telepsych.patients.opening import age_now
from telepsych.patients.proxies import ActsFor
from telepsych.patients.relations import Ground
from telepsych.patients.supporters import Asked
from telepsych.web.doors import begin, practice, signed_in

bp = Blueprint("relations", __name__)

DESK = (Role.STAFF, Role.MANAGER)
NEW = ("name", "email", "phone", "authority", "document", "identity", "confidential", "until")
RENEWAL = ("document", "confidential", "until")
SUPPORTER = ("name", "email", "phone", "identity")
TEAM = ("team", "from", "until")


@dataclass(frozen=True, slots=True)
class ProxiesPage:
    """Who acts for a patient, and whom the patient asked for. `wrong` is the card whose form had `errors`."""

    patient_id: UUID
    name: str
    people: list[ActsFor]
    asked: list[Asked]
    wrong: str = ""
    typed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProxyForm:
    """Letting somebody act: what was typed, what is wrong with it, and which authorities hold at this age."""

    patient_id: UUID
    name: str
    grounds: list[Ground]
    offers_private: bool
    """Whether some authority may open the private part at this age."""
    typed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RenewalForm:
    """Looking at a document again."""

    patient_id: UUID
    proxy_id: UUID
    name: str
    person: str
    ground: Ground
    offers_private: bool
    typed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TeamsPage:
    """The teams that care for a patient."""

    patient_id: UUID
    name: str
    teams: list[TeamLine]
    others: list[tuple[UUID, str]]
    typed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


# Who acts for a patient


@bp.get("/patients/<patient_id>/proxies")
@signed_in(*DESK)
def index(patient_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        page = _proxies(work, parse_id(patient_id))
    return render_template("patients/proxies.html", page=page)


@bp.get("/patients/<patient_id>/proxies/new")
@signed_in(*DESK)
def new(patient_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        page = _new_form(work, parse_id(patient_id), {}, {})
    return render_template("patients/new_proxy.html", page=page)


@bp.post("/patients/<patient_id>/proxies/new")
@signed_in(*DESK)
def create(patient_id: str) -> ResponseReturnValue:
    patient, typed = parse_id(patient_id), typed_in(NEW)
    try:
        with begin() as work:
            intake.take_in_guardian(
                work,
                patient,
                name=typed["name"],
                email=typed["email"],
                phone=typed["phone"],
                authority=_authority(typed["authority"]),
                document=typed["document"],
                identity=typed["identity"],
                opens_confidential=typed["confidential"] == "1",
                valid_until=_end_of_day(typed["until"]),
            )
    except (Invalid, Conflict) as error:
        with begin(writes=False) as work:
            page = _new_form(work, patient, typed, faults_of(error))
        return render_template("patients/new_proxy.html", page=page), error.status
    return _back(patient)


@bp.post("/patients/<patient_id>/proxies/<proxy_id>/invitation")
@signed_in(*DESK)
def invite(patient_id: str, proxy_id: str) -> ResponseReturnValue:
    patient = parse_id(patient_id)
    with begin() as work:
        token = intake.invite_proxy(work, patient, parse_id(proxy_id))
    link = invitations.link_for(practice, token, request.host_url)
    return render_template("patients/invitation.html", page=InvitationPage(patient, link))


@bp.post("/patients/<patient_id>/proxies/<proxy_id>/identity")
@signed_in(*DESK)
def check_identity(patient_id: str, proxy_id: str) -> ResponseReturnValue:
    """Write down how it was made sure who somebody is."""
    how = request.form.get("identity", "").strip()
    return _act(patient_id, proxy_id, lambda work, proxy: proxies.check_identity(work, proxy, how))


@bp.post("/patients/<patient_id>/proxies/<proxy_id>/suspension")
@signed_in(*DESK)
def suspend(patient_id: str, proxy_id: str) -> ResponseReturnValue:
    why = request.form.get("why", "").strip()
    return _act(patient_id, proxy_id, lambda work, proxy: proxies.suspend_proxy(work, proxy, why))


@bp.post("/patients/<patient_id>/proxies/<proxy_id>/resumption")
@signed_in(*DESK)
def resume(patient_id: str, proxy_id: str) -> ResponseReturnValue:
    return _act(patient_id, proxy_id, proxies.resume_proxy)


@bp.post("/patients/<patient_id>/proxies/<proxy_id>/end")
@signed_in(*DESK)
def end(patient_id: str, proxy_id: str) -> ResponseReturnValue:
    why = request.form.get("why", "").strip()
    return _act(patient_id, proxy_id, lambda work, proxy: proxies.end_proxy(work, proxy, why))


@bp.get("/patients/<patient_id>/proxies/<proxy_id>/renewal")
@signed_in(*DESK)
def renewal(patient_id: str, proxy_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        page = _renewal_form(work, parse_id(patient_id), parse_id(proxy_id), None, {})
    return render_template("patients/renew_proxy.html", page=page)


@bp.post("/patients/<patient_id>/proxies/<proxy_id>/renewal")
@signed_in(*DESK)
def renew(patient_id: str, proxy_id: str) -> ResponseReturnValue:
    patient, proxy, typed = parse_id(patient_id), parse_id(proxy_id), typed_in(RENEWAL)
    opened = {Compartment.GENERAL} | ({Compartment.CONFIDENTIAL} if typed["confidential"] == "1" else set())
    try:
        with begin() as work:
            proxies.named(work, patient, proxy)
            until = _end_of_day(typed["until"])
            proxies.renew_proxy(work, proxy, document=typed["document"], compartments=opened, valid_until=until)
    except (Invalid, Conflict) as error:
        with begin(writes=False) as work:
            page = _renewal_form(work, patient, proxy, typed, faults_of(error))
        return render_template("patients/renew_proxy.html", page=page), error.status
    return _back(patient)


# Supporters whom the patient asked for


@bp.post("/patients/<patient_id>/supporters/<request_id>")
@signed_in(*DESK)
def appoint(patient_id: str, request_id: str) -> ResponseReturnValue:
    patient, wanted, typed = parse_id(patient_id), parse_id(request_id), typed_in(SUPPORTER)
    try:
        with begin() as work:
            intake.take_in_supporter(work, patient, wanted, **typed)
    except (Invalid, Conflict) as error:
        return _wrong(patient, str(wanted), typed, error)
    return _back(patient)


@bp.post("/patients/<patient_id>/supporters/<request_id>/decline")
@signed_in(*DESK)
def decline(patient_id: str, request_id: str) -> ResponseReturnValue:
    patient = parse_id(patient_id)
    with begin() as work:
        supporters.decline(work, patient, parse_id(request_id))
    return _back(patient)


# Teams


@bp.get("/patients/<patient_id>/teams")
@signed_in(*DESK)
def teams(patient_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        page = _teams(work, parse_id(patient_id), {}, {})
    return render_template("patients/teams.html", page=page)


@bp.post("/patients/<patient_id>/teams")
@signed_in(*DESK)
def add_team(patient_id: str) -> ResponseReturnValue:
    patient, typed = parse_id(patient_id), typed_in(TEAM)
    try:
        with begin() as work:
            starts, until = _start_of_day(typed["from"]), _end_of_day(typed["until"])
            care_teams.add_team(work, patient, _team(typed["team"]), valid_from=starts, valid_until=until)
    except (Invalid, Conflict) as error:
        return _teams_again(patient, typed, faults_of(error, "team"), error.status)
    return redirect(url_for(".teams", patient_id=patient), 303)


@bp.post("/patients/<patient_id>/teams/<care_team_id>/end")
@signed_in(*DESK)
def end_team(patient_id: str, care_team_id: str) -> ResponseReturnValue:
    patient, row = parse_id(patient_id), parse_id(care_team_id)
    place = f"last-{row}"
    try:
        with begin() as work:
            care_teams.end_team(work, patient, row, at=_end_of_day(request.form.get("last", "").strip()))
    except (Invalid, Conflict) as error:
        said = faults_of(error, place)
        return _teams_again(patient, {}, {place: said.get("until", error.sentence)}, error.status)
    if not _still_open(patient):
        return redirect("/patients", 303)
    return redirect(url_for(".teams", patient_id=patient), 303)


def _act(patient_id: str, proxy_id: str, act: Callable[[Work, UUID], object]) -> ResponseReturnValue:
    """Do something about a proxy of just this patient; what is wrong is shown in their card."""
    patient, proxy = parse_id(patient_id), parse_id(proxy_id)
    try:
        with begin() as work:
            proxies.named(work, patient, proxy)
            act(work, proxy)
    except (Invalid, Conflict) as error:
        return _wrong(patient, str(proxy), typed_in(("why", "identity")), error)
    return _back(patient)


def _back(patient_id: UUID) -> ResponseReturnValue:
    return redirect(url_for(".index", patient_id=patient_id), 303)


def _wrong(patient_id: UUID, card: str, typed: dict[str, str], error: Invalid | Conflict) -> ResponseReturnValue:
    first = "email" if "email" in typed else "identity"
    with begin(writes=False) as work:
        page = _proxies(work, patient_id, card, typed, faults_of(error, first))
    return render_template("patients/proxies.html", page=page), error.status


def _proxies(
    work: Work,
    patient_id: UUID,
    wrong: str = "",
    typed: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
) -> ProxiesPage:
    people = proxies.acting_for(work, patient_id)
    patient = service.open_patient(work, patient_id)
    asked = supporters.asked(work, patient_id)
    return ProxiesPage(patient.id, patient.name, people, asked, wrong, typed or {}, errors or {})


def _new_form(work: Work, patient_id: UUID, typed: dict[str, str], errors: dict[str, str]) -> ProxyForm:
    work.require(policy.can_register(work.actor, patient_id))
    patient = service.open_patient(work, patient_id)
    years = age_now(work, patient)
    grounds = [one for one in relations.grounds().values() if one.holds_at(years) and not one.named_by_patient]
    ordered = sorted(grounds, key=lambda one: list(Authority).index(one.id))
    return ProxyForm(patient.id, patient.name, ordered, any(_private(one, years) for one in grounds), typed, errors)


def _renewal_form(
    work: Work, patient_id: UUID, proxy_id: UUID, typed: dict[str, str] | None, errors: dict[str, str]
) -> RenewalForm:
    row = proxies.named(work, patient_id, proxy_id)
    line = next(one for one in proxies.acting_for(work, patient_id) if one.id == row.id)
    patient = service.open_patient(work, patient_id)
    if typed is None:
        typed = {"document": row.document, "confidential": "1" if row.opens_confidential else ""}
    private = _private(line.ground, age_now(work, patient))
    return RenewalForm(patient.id, row.id, patient.name, line.person.name, line.ground, private, typed, errors)


def _private(ground: Ground, years: int) -> bool:
    return Compartment.CONFIDENTIAL in ground.opens_at(years)


def _teams(work: Work, patient_id: UUID, typed: dict[str, str], errors: dict[str, str]) -> TeamsPage:
    lines = care_teams.teams_of(work, patient_id)
    patient = service.open_patient(work, patient_id)
    return TeamsPage(patient.id, patient.name, lines, care_teams.teams_to_add(work, patient_id), typed, errors)


def _teams_again(patient_id: UUID, typed: dict[str, str], errors: dict[str, str], status: int) -> ResponseReturnValue:
    with begin(writes=False) as work:
        page = _teams(work, patient_id, typed, errors)
    return render_template("patients/teams.html", page=page), status


def _still_open(patient_id: UUID) -> bool:
    """Whether the actor still sees the patient: with their own team's care their access may have ended."""
    with begin(writes=False) as work:
        return care_teams.is_open(work, patient_id)


def _authority(text: str) -> Authority:
    try:
        return Authority(text)
    except ValueError:
        raise Invalid(fields={"authority": gettext("Please choose on what ground they act.")}) from None


def _team(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Invalid(fields={"team": gettext("Please choose a team.")}) from None


def _start_of_day(text: str) -> int | None:
    """The beginning of a day as it was typed; None for none, and for today."""
    day = _day(text, "from")
    if day is None or day <= local_date(practice.clock.now(), practice.settings.tz):
        return None
    return to_micros(datetime.combine(day, time.min, practice.settings.tz))


def _end_of_day(text: str) -> int | None:
    """The end of a last day as it was typed; None for none."""
    day = _day(text, "until")
    if day is None:
        return None
    return to_micros(datetime.combine(day + timedelta(days=1), time.min, practice.settings.tz))


def _day(text: str, name: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Invalid(fields={name: gettext("Please give a day.")}) from None
