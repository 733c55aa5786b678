"""Records past their time: proposed for destruction by one, signed by another. An operator destroys the keys."""

from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.accounts import service as accounts
from telepsych.core.actor import Role
from telepsych.core.errors import Conflict
from telepsych.core.ids import parse_id
from telepsych.core.work import Work
from telepsych.oversight import people
from telepsych.patients import policy, retention, shredding
from telepsych.web.doors import begin, signed_in

bp = Blueprint("old_records", __name__, url_prefix="/oversight/old-records")


@dataclass(frozen=True, slots=True)
class OldRecord:
    """A record that need not be kept any longer, and what was decided about it."""

    patient_id: str
    patient: str
    keep_until: str
    is_held: bool
    decision: str = ""
    """The id of the proposal; empty without one."""
    proposed_at: int = 0
    proposed_by: str = ""
    signed_by: str = ""
    may_sign: bool = False


@bp.get("")
@signed_in(Role.COMPLIANCE, Role.MANAGER)
def index() -> ResponseReturnValue:
    return _page(None)


@bp.post("")
@signed_in(Role.COMPLIANCE, Role.MANAGER)
def propose() -> ResponseReturnValue:
    try:
        with begin() as work:
            shredding.propose(work, parse_id(request.form.get("patient", "")))
    except Conflict as error:
        return _page(error)
    return redirect(url_for(".index"), 303)


@bp.post("/<decision_id>/sign")
@signed_in(Role.COMPLIANCE, Role.MANAGER)
def sign(decision_id: str) -> ResponseReturnValue:
    try:
        with begin() as work:
            shredding.sign(work, parse_id(decision_id))
    except Conflict as error:
        return _page(error)
    return redirect(url_for(".index"), 303)


@bp.post("/<decision_id>/withdraw")
@signed_in(Role.COMPLIANCE, Role.MANAGER)
def withdraw(decision_id: str) -> ResponseReturnValue:
    with begin() as work:
        shredding.withdraw(work, parse_id(decision_id))
    return redirect(url_for(".index"), 303)


def _page(error: Conflict | None) -> ResponseReturnValue:
    with begin(writes=False) as work:
        found = _rows(work)
    rule = retention.retention()
    page = render_template("oversight/old_records.html", found=found, rule=rule, error=error)
    return page, error.status if error else 200


def _rows(work: Work) -> list[OldRecord]:
    expired = retention.expired(work)
    decided = {one.patient_id: one for one in shredding.pending(work)}
    names = accounts.names_of(work, [who for one in decided.values() for who in (one.proposed_by, one.signed_by)])
    patients = people.patient_names(work, [one.patient_id for one in expired])

    def row(one: retention.Expired) -> OldRecord:
        decision = decided.get(one.patient_id)
        known = OldRecord(str(one.patient_id), patients[one.patient_id], one.keep_until.isoformat(), one.is_held)
        if decision is None:
            return known
        return OldRecord(
            known.patient_id,
            known.patient,
            known.keep_until,
            known.is_held,
            str(decision.id),
            decision.proposed_at,
            people.name_of(names, decision.proposed_by),
            people.name_of(names, decision.signed_by) if decision.signed_by else "",
            decision.signed_by is None and bool(policy.can_sign_destruction(work.actor, decision)),
        )

    return [row(one) for one in expired]
