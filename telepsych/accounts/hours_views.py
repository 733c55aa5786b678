"""Managers' page of when the practice is open."""

from datetime import time

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.accounts import hours
from telepsych.accounts.forms import Form, asked, day_of, faults
from telepsych.core.actor import Role
from telepsych.core.calendar import Opening
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.web.doors import begin, signed_in

bp = Blueprint("hours", __name__)


@bp.get("/practice/hours")
@signed_in(Role.MANAGER)
def page() -> ResponseReturnValue:
    return _hours(Form())


@bp.post("/practice/hours")
@signed_in(Role.MANAGER)
def set_hours() -> ResponseReturnValue:
    typed = {name: request.form.get(name, "") for name in _hour_fields()}
    try:
        openings = _openings(typed)
        with begin() as work:
            hours.set_week(work, openings)
    except Invalid as error:
        return _hours(Form(typed, error.fields)), error.status
    return redirect(url_for("hours.page"), 303)


@bp.post("/practice/hours/closed")
@signed_in(Role.MANAGER)
def close_day() -> ResponseReturnValue:
    typed = asked("day")
    try:
        with begin() as work:
            hours.close_on(work, day_of(typed["day"], "day"))
    except (Invalid, Conflict) as error:
        return _hours(Form(typed, faults(error, "day"))), error.status
    return redirect(url_for("hours.page"), 303)


@bp.post("/practice/hours/open")
@signed_in(Role.MANAGER)
def open_day() -> ResponseReturnValue:
    with begin() as work:
        hours.open_on(work, day_of(request.form.get("day", ""), "day"))
    return redirect(url_for("hours.page"), 303)


def _hours(form: Form) -> str:
    with begin(writes=False) as work:
        week, closed = hours.week(work), hours.closed_days(work)
    typed = form.typed if any(name in form.typed for name in _hour_fields()) else _as_typed(week)
    return render_template(
        "accounts/hours.html", typed=typed, day=form.typed.get("day", ""), errors=form.errors, closed=closed,
        weekdays=_weekdays(), rows=range(hours.A_DAY), is_usual=not week,
    )  # fmt: skip


def _weekdays() -> list[str]:
    return [
        gettext("Monday"), gettext("Tuesday"), gettext("Wednesday"), gettext("Thursday"), gettext("Friday"),
        gettext("Saturday"), gettext("Sunday"),
    ]  # fmt: skip


def _hour_fields() -> list[str]:
    return [f"{what}-{day}-{row}" for day in range(7) for row in range(hours.A_DAY) for what in ("opens", "closes")]


def _openings(typed: dict[str, str]) -> list[Opening]:
    """The openings in the fields; a row with both left empty is none. Raises `Invalid` naming the first wrong field."""
    found = []
    for day in range(7):
        for row in range(hours.A_DAY):
            opens, closes = typed[f"opens-{day}-{row}"], typed[f"closes-{day}-{row}"]
            if not opens and not closes:
                continue
            try:
                found.append(Opening(day, _minutes(opens), _minutes(closes) or 24 * 60))
            except ValueError:
                said = gettext("Please give when you open and when you close, in this order.")
                raise Invalid(fields={f"opens-{day}-{row}": said}) from None
    return found


def _minutes(text: str) -> int:
    at = time.fromisoformat(text)
    return at.hour * 60 + at.minute


def _as_typed(week: list[Opening]) -> dict[str, str]:
    typed = {}
    for day in range(7):
        for row, one in enumerate([each for each in week if each.weekday == day][: hours.A_DAY]):
            typed[f"opens-{day}-{row}"] = f"{one.opens // 60:02d}:{one.opens % 60:02d}"
            typed[f"closes-{day}-{row}"] = f"{one.closes // 60 % 24:02d}:{one.closes % 60:02d}"
    return typed
