"""When the practice is open: the week, and the days on which it is closed all the same."""

from datetime import date
from itertools import pairwise

from sqlalchemy import select

from telepsych.accounts import policy, service
from telepsych.accounts.models import ClosedDay, OpeningHours
from telepsych.audit import service as audit
from telepsych.core.calendar import Opening
from telepsych.core.clock import local_date
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work

A_DAY = 2
"""Openings of one weekday that the page offers: one break."""


def week(work: Work) -> list[Opening]:
    """The weekly openings as set, in order; empty when none were set."""
    work.require(policy.can_manage_people(work.actor))
    return sorted(Opening(row.weekday, row.opens, row.closes) for row in work.session.scalars(select(OpeningHours)))


def set_week(work: Work, openings: list[Opening]) -> None:
    """Set the weekly openings. Raises `Invalid` where two overlap."""
    in_order = sorted(openings)
    for one, other in pairwise(in_order):
        if one.weekday == other.weekday and other.opens < one.closes:
            raise Invalid(fields={f"opens-{one.weekday}-1": gettext("These times overlap.")})
    service.set_hours(work, in_order)


def closed_days(work: Work) -> list[str]:
    """The practice's own closed days from today on, as ISO dates."""
    work.require(policy.can_manage_people(work.actor))
    today = local_date(work.now, work.practice.settings.tz).isoformat()
    return list(work.session.scalars(select(ClosedDay.day).where(ClosedDay.day >= today).order_by(ClosedDay.day)))


def close_on(work: Work, day: date) -> None:
    """Close the practice on a day. Raises `Invalid` for a day that has passed, `Conflict` when it is closed already."""
    work.require(policy.can_manage_people(work.actor))
    if day < local_date(work.now, work.practice.settings.tz):
        raise Invalid(fields={"day": gettext("Please choose a day that lies ahead.")})
    if work.session.scalar(select(ClosedDay.id).where(ClosedDay.day == day.isoformat())):
        raise Conflict(gettext("The practice is closed on that day already."))
    work.add(ClosedDay(day=day.isoformat()))
    audit.record(work, "day.closed", "practice:hours", purpose="operations", detail={"day": day.isoformat()})


def open_on(work: Work, day: date) -> None:
    """Take a closed day back. Raises `NotFound` when it is none."""
    work.require(policy.can_manage_people(work.actor))
    row = work.one(select(ClosedDay).where(ClosedDay.day == day.isoformat()))
    work.session.delete(row)
    audit.record(work, "day.opened", "practice:hours", purpose="operations", detail={"day": day.isoformat()})
