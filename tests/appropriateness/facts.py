"""Sheets of facts for tests: everything known and nothing wrong, and ways to change that."""

from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from telepsych.appropriateness.content import Moment, observations
from telepsych.appropriateness.engine import Fired, Recorded, Result, Sheet, evaluate
from telepsych.appropriateness.examples import dated
from telepsych.core.clock import to_micros

ZONE = ZoneInfo("America/New_York")
TODAY = date(2026, 11, 24)
NOON = to_micros(datetime.combine(TODAY, time(12), ZONE))

WELL: dict[str, Any] = {
    "phq9.item9": 0,
    "phq9.total": 3,
    "gad7.total": 2,
    "visit.location": {"state": "CT", "address": "12 Invented Street, New Haven"},
    "visit.state": "CT",
    "visit.location_confirmed": True,
    "visit.callback_number": "(203) 555-0142",
    "visit.private": True,
    "visit.others_present": False,
    "visit.safe_to_talk": True,
    "visit.situation": "home",
    "visit.alone": False,
    "emergency_contact.present": True,
    "consent.telehealth": True,
    "identity.verified": True,
    "means.access": False,
    "guardian.reachable": True,
    "patient.age": 34,
    "medicine.active": [],
    "last_in_person": "today-90",
    "last_visit": "today-30",
    "pdmp.checked_on": "today-10",
    "history.withdrawal_seizure": False,
    "cardiac.history": False,
    "diagnoses": [],
    "pregnancy.status": "no",
    "home.cuff": True,
    "injection.due_on": "today",
    "lab.lithium_level": {"value": 0.7, "on": "today-60"},
    "vitals.bp": {"systolic": 118, "diastolic": 74, "on": "today-30"},
    "vitals.bp_earlier": {"systolic": 120, "diastolic": 76, "on": "today-200"},
    "vitals.pulse": {"value": 72, "on": "today-30"},
    "vitals.bmi": 23.0,
    "vitals.weight_gain_percent": 0,
    "vitals.weight_loss_percent": 0,
    "lab.metabolic_on": "today-60",
    "lab.kidney_thyroid_on": "today-60",
    "lab.anc_on": "today-3",
    "lab.liver_cbc_on": "today-60",
    "ecg.on": "today-60",
    "aims.on": "today-60",
    "aims.in_person_on": "today-60",
    **{f"observed.{one.code}": 0 if one.most else False for one in observations().values()},
}


def taking(name: str, started: str, schedule: str | None = None, **more: Any) -> list[dict[str, Any]]:
    """One medicine being taken."""
    return [{"id": name, "name": name, "started_on": started, "schedule": schedule, "new": False, **more}]


def reported(*names: str, severity: str | None = None) -> dict[str, Any]:
    """Symptoms reported at the check-in."""
    return {f"symptom.{name}": {"present": True, "severity": severity} for name in names}


def sheet(facts: dict[str, Any], *, day: date = TODAY, when: Moment = Moment.IN_VISIT, **more: Any) -> Sheet:
    """These facts, all recorded at noon of the day; a tuple holds several values, the newest first."""
    now = to_micros(datetime.combine(day, time(12), ZONE))
    rows = {
        code: tuple(
            Recorded(dated(one, day), now - index * 60_000_000, "test")
            for index, one in enumerate(value if isinstance(value, tuple) else (value,))
        )
        for code, value in facts.items()
        if value is not None
    }
    return Sheet(rows, now, ZONE, when, **more)


def judged(facts: dict[str, Any], **more: Any) -> Result:
    """What the rules shipped come to, for somebody well except for these facts. None takes a fact away."""
    return evaluate(sheet(WELL | facts, **more))


def ids(result: Result) -> list[str]:
    """The rules that fired, in the order shown."""
    return [one.rule.id for one in result.fired]


def fired(result: Result, rule_id: str) -> Fired:
    """One rule that fired."""
    return next(one for one in result.fired if one.rule.id == rule_id)
