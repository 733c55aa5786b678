"""The compliance officer's pages: what is due, reviews, weeks, who looked, dated rules, requests about records."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.accounts.service import Named
from telepsych.core.actor import Role
from telepsych.core.clock import local_date
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.ids import parse_id
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.oversight import calendar, due, looks, people, policy, reviews, rights, weekly
from telepsych.oversight.calendar import Change, DatedRule
from telepsych.oversight.looks import LookRow, Question
from telepsych.oversight.models import RequestKind, Verdict
from telepsych.oversight.reviews import ReviewPage
from telepsych.oversight.rights import RequestLine
from telepsych.oversight.weekly import WeekPage
from telepsych.patients import break_glass
from telepsych.web.doors import begin, signed_in

bp = Blueprint("oversight", __name__, url_prefix="/oversight")
OVERSEERS = (Role.COMPLIANCE, Role.MANAGER)
ASKED_BACK = 30
"""Days that the search begins with."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A page with a form: what it shows, what was typed, and what is wrong with it."""

    shown: Any
    typed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WhoLookedPage:
    """The search for who looked, with what it found."""

    workforce: list[Named]
    typed: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)
    days: list[tuple[str, list[LookRow]]] | None = None
    nobody: bool = False


@dataclass(frozen=True, slots=True)
class CalendarPage:
    """Dated rules: what comes, what should have been looked at again, and all of them."""

    today: date
    changes: list[Change]
    overdue: list[DatedRule]
    rules: tuple[DatedRule, ...]


@bp.get("")
@signed_in(*OVERSEERS)
def index() -> ResponseReturnValue:
    return render_template("oversight/index.html", due=_due(), counts=_counts())


@bp.get("/due")
@signed_in(*OVERSEERS)
def due_list() -> ResponseReturnValue:
    """What is due, to be put into the page again when something has changed."""
    return render_template("oversight/_due.html", due=_due())


# Reviews of emergency access


@bp.get("/reviews")
@signed_in(*OVERSEERS)
def review_list() -> ResponseReturnValue:
    with begin(writes=False) as work:
        waiting, closed = reviews.listed(work), reviews.listed(work, closed=True)
    return render_template("oversight/reviews.html", waiting=waiting, closed=closed)


@bp.get("/reviews/<review_id>")
@signed_in(*OVERSEERS)
def review(review_id: str) -> ResponseReturnValue:
    return _review(parse_id(review_id), {}, None)


@bp.post("/reviews/<review_id>")
@signed_in(*OVERSEERS)
def decide(review_id: str) -> ResponseReturnValue:
    typed = _typed("verdict", "note")
    try:
        with begin() as work:
            reviews.decide(work, parse_id(review_id), typed["verdict"], typed["note"])
    except Invalid as error:
        return _review(parse_id(review_id), typed, error)
    return redirect(url_for(".review", review_id=review_id), 303)


@bp.post("/reviews/<review_id>/end")
@signed_in(Role.COMPLIANCE)
def end_access(review_id: str) -> ResponseReturnValue:
    """End an emergency access that still runs."""
    with begin() as work:
        break_glass.end(work, reviews.glass_of(work, parse_id(review_id)))
    return redirect(url_for(".review", review_id=review_id), 303)


def _review(review_id: UUID, typed: dict[str, str], error: Invalid | None) -> ResponseReturnValue:
    with begin(writes=False) as work:
        shown: ReviewPage = reviews.page(work, review_id)
    page = Typed(shown, typed, error.fields if error else {})
    return render_template("oversight/review.html", page=page, verdicts=_verdicts()), error.status if error else 200


def _verdicts() -> list[tuple[str, str, str]]:
    return [
        (Verdict.APPROPRIATE, gettext("Appropriate"), gettext("There was an emergency, and what was opened fits it.")),
        (Verdict.NOT_APPROPRIATE, gettext("Not appropriate"), gettext("Then the practice's own steps follow.")),
        (Verdict.FOLLOW_UP, gettext("Needs follow-up"), gettext("Ask first. The review stays open until you decide.")),
    ]


# Weeks


@bp.get("/week")
@signed_in(*OVERSEERS)
def week_list() -> ResponseReturnValue:
    with begin(writes=False) as work:
        found, now = weekly.weeks(work), work.now
    return render_template("oversight/weeks.html", weeks=found, now=now)


@bp.get("/week/<monday>")
@signed_in(*OVERSEERS)
def week(monday: str) -> ResponseReturnValue:
    return _week(monday, {}, None)


@bp.post("/week/<monday>/lines")
@signed_in(*OVERSEERS)
def sign_lines(monday: str) -> ResponseReturnValue:
    """Sign off the chosen lines, or with the button of a single line only that one."""
    single = request.form.get("only", "")
    chosen = [single] if single else request.form.getlist("lines")
    typed = _typed("note")
    try:
        with begin() as work:
            weekly.sign_lines(work, monday, [parse_id(one) for one in chosen], typed["note"])
    except Invalid as error:
        return _week(monday, typed, error)
    return redirect(url_for(".week", monday=monday), 303)


@bp.post("/week/<monday>")
@signed_in(Role.COMPLIANCE)
def sign_week(monday: str) -> ResponseReturnValue:
    typed = _typed("week_note")
    try:
        with begin() as work:
            weekly.sign_week(work, monday, typed["week_note"])
    except Conflict as error:
        return _week(monday, typed, error)
    return redirect(url_for(".week_list"), 303)


def _week(monday: str, typed: dict[str, str], error: Invalid | Conflict | None) -> ResponseReturnValue:
    with begin(writes=False) as work:
        shown: WeekPage = weekly.page(work, monday)
    faults = error.fields if isinstance(error, Invalid) else {"week_note": error.sentence} if error else {}
    page = Typed(shown, typed, faults)
    return render_template("oversight/week.html", page=page), error.status if error else 200


# Who looked


@bp.get("/who-looked")
@signed_in(Role.COMPLIANCE)
def who_looked() -> ResponseReturnValue:
    with begin(writes=False) as work:
        today = local_date(work.now, work.practice.settings.tz)
        first = today - timedelta(days=ASKED_BACK)
        typed = {"first_day": first.isoformat(), "last_day": today.isoformat()}
        page = WhoLookedPage(people.workforce(work), typed)
    return render_template("oversight/who_looked.html", page=page)


@bp.post("/who-looked")
@signed_in(Role.COMPLIANCE)
def find_looks() -> ResponseReturnValue:
    """Names are posted: in an address they would lie in logs and histories."""
    typed = _typed("name", "birth_date", "person", "first_day", "last_day")
    with begin() as work:
        workforce = people.workforce(work)
        try:
            question = _question(work, typed)
            days = looks.answer(work, question) if question else []
        except Invalid as error:
            return render_template(
                "oversight/who_looked.html", page=WhoLookedPage(workforce, typed, error.fields)
            ), error.status
        page = WhoLookedPage(workforce, typed, days=days, nobody=question is None)
    return render_template("oversight/who_looked.html", page=page)


def _question(work: Work, typed: dict[str, str]) -> Question | None:
    """What was asked; None when the patient asked about is not here."""
    first, last = (_day(typed[name], name) for name in ("first_day", "last_day"))
    patient = person = None
    if typed["name"]:
        patient = looks.find_patient(work, typed["name"], _day(typed["birth_date"], "birth_date"))
        if patient is None:
            return None
    if typed["person"]:
        person = people.parse_person(work, typed["person"]).id
    if patient is None and person is None:
        raise Invalid(fields={"name": gettext("Give a patient's name and birth date, or choose a person.")})
    return Question(patient, person, first, last)


def _day(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(fields={name: gettext("Please give the date.")}) from None


# Dated rules


@bp.get("/calendar")
@signed_in(Role.COMPLIANCE)
def policy_calendar() -> ResponseReturnValue:
    with begin(writes=False) as work:
        work.require(policy.can_oversee(work.actor))
        today = local_date(work.now, work.practice.settings.tz)
    page = CalendarPage(today, calendar.changes(today), calendar.overdue(today), calendar.dated_rules())
    return render_template("oversight/calendar.html", page=page)


# Requests about records


@bp.get("/requests")
@signed_in(*OVERSEERS)
def request_list() -> ResponseReturnValue:
    with begin(writes=False) as work:
        waiting, settled = rights.listed(work), rights.listed(work, settled=True)
    return render_template("oversight/requests.html", waiting=waiting, settled=settled, labels=_labels())


@bp.get("/requests/<request_id>")
@signed_in(*OVERSEERS)
def one_request(request_id: str) -> ResponseReturnValue:
    return _request(parse_id(request_id), {}, None)


@bp.post("/requests/<request_id>/extension")
@signed_in(*OVERSEERS)
def extend(request_id: str) -> ResponseReturnValue:
    typed = _typed("reason")
    try:
        with begin() as work:
            rights.extend(work, parse_id(request_id), typed["reason"])
    except Invalid as error:
        return _request(parse_id(request_id), typed, error)
    return redirect(url_for(".one_request", request_id=request_id), 303)


@bp.post("/requests/<request_id>/outcome")
@signed_in(*OVERSEERS)
def settle(request_id: str) -> ResponseReturnValue:
    typed = _typed("how", "outcome")
    try:
        with begin() as work:
            rights.settle(work, parse_id(request_id), typed["how"], typed["outcome"])
    except Invalid as error:
        return _request(parse_id(request_id), typed, error)
    return redirect(url_for(".request_list"), 303)


def _request(request_id: UUID, typed: dict[str, str], error: Invalid | None) -> ResponseReturnValue:
    with begin(writes=False) as work:
        shown: RequestLine = rights.one(work, request_id)
    page = Typed(shown, typed, error.fields if error else {})
    answer = render_template("oversight/request.html", page=page, labels=_labels())
    return answer, error.status if error else 200


def _labels() -> dict[str, str]:
    return {kind: rights.label_of(kind) for kind in RequestKind}


def _due() -> list[due.Due]:
    with begin(writes=False) as work:
        return due.due(work)


def _counts() -> list[due.Count]:
    with begin(writes=False) as work:
        return due.counts(work)


def _typed(*names: str) -> dict[str, str]:
    return {name: request.form.get(name, "").strip() for name in names}
