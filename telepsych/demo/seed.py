"""Bringing the fictional practice to life: two months of history, today's visits, and a few letters.

Every row comes from the service that a person would have used, at a moment of the past that the seed's clock stands at.
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pyotp

from telepsych.accounts import factors, passwords
from telepsych.accounts import service as accounts
from telepsych.accounts.models import Person
from telepsych.core.actor import Compartment, command
from telepsych.core.calendar import USUAL_WEEK
from telepsych.core.clock import DAY, HOUR, MINUTE, FrozenClock, from_micros, to_micros
from telepsych.core.errors import Conflict
from telepsych.core.ids import new_id
from telepsych.core.work import Practice, Work
from telepsych.demo import oversight_history
from telepsych.demo.people import PEOPLE, Someone
from telepsych.medications import service as medications
from telepsych.messaging import service as messaging
from telepsych.patients import service as patients
from telepsych.patients.models import Authority
from telepsych.questionnaires import service as questionnaires
from telepsych.scheduling import service as scheduling
from telepsych.triage import service as triage
from telepsych.visits import service as visits

ACCOUNTS = "accounts.json"
OPTIONS = ("not_at_all", "several_days", "more_than_half", "nearly_every_day")


@dataclass
class Seed:
    """The practice while it is being made, and what has been made so far."""

    practice: Practice
    clock: FrozenClock
    people: dict[str, UUID] = field(default_factory=dict)
    records: dict[str, UUID] = field(default_factory=dict)
    accounts: list[dict[str, str]] = field(default_factory=list)

    def act(self, who: str = "") -> Any:
        """A unit of work of one of the people, or of the operator."""
        if not who:
            return self.practice.begin(command("demo"))
        with self.practice.begin(command("demo"), writes=False, public="demo") as work:
            actor = patients.actor_for(work, self.people[who])
        return self.practice.begin(actor)


def is_seeded(data: Path) -> bool:
    """Whether the folder already holds the fictional practice."""
    return (data / ACCOUNTS).exists()


def seed(practice: Practice, *, visits: bool = True) -> list[dict[str, str]]:
    """Make the fictional practice in empty databases. Returns the sign-ins, which are also kept in `accounts.json`.

    Without `visits` nothing is booked, which leaves the clinician free.
    """
    present, now = practice.clock, practice.clock.now()
    made = Seed(practice, FrozenClock(now - 60 * DAY))
    practice.clock = made.clock
    try:
        _people(made)
        _history(made, now)
        _letters(made, now)
        oversight_history.history(made, now)
        made.clock.at = now
        if visits:
            _visits(made, now)
    finally:
        practice.clock = present
    _write(practice.settings.data / ACCOUNTS, made.accounts)
    return made.accounts


def refresh(practice: Practice) -> None:
    """Book another visit for the first patient when the last one is past: the demo is opened on other days too."""
    with practice.begin(command("demo"), public="demo") as work:
        juniper = accounts.find_by_email(work, "juniper@example.org")
        sage = accounts.find_by_email(work, "sage@example.org")
        patient = patients.patient_of_person(work, juniper.id) if juniper else None
        if patient is None or sage is None or visits.upcoming(work, patient.id):
            return
        for wait in range(10, 24 * 60, 15):
            at = work.now + wait * MINUTE
            with suppress(Conflict):  # the clinician may have a visit then
                scheduling.book(work, patient.id, sage.id, at - at % (5 * MINUTE), 25, "Medication follow-up")
                return


def _people(made: Seed) -> None:
    with made.act() as work:
        team = accounts.add_team(work, "Willow Team", default=True)
        work.session.flush()
        accounts.set_hours(work, USUAL_WEEK)
        for one in PEOPLE:
            row = accounts.add_person(
                work, name=one.name, roles=one.holds, email=one.email, phone=one.phone, title=one.title
            )
            made.people[one.key] = row.id
            if one.born is None and one.role not in ("guardian", "compliance"):
                accounts.join_team(work, team.id, row.id)
            if one.born is not None:
                made.records[one.key] = _patient(work, one, row.id).id
        patients.add_proxy(
            work,
            made.records["wren"],
            made.people["marlow"],
            Authority.PARENT,
            document="Birth certificate and photo ID seen at the front desk",
            identity="Photo ID at the front desk",
            compartments=frozenset({Compartment.GENERAL}),
        )
    for one in PEOPLE:
        _let_in(made, one)


def _patient(work: Work, one: Someone, person_id: UUID) -> Any:
    assert one.born is not None  # only patients have a birth date here
    return patients.add_patient(
        work,
        name=one.name,
        birth_date=one.born,
        person_id=person_id,
        preferred_name=one.preferred_name,
        pronouns=one.pronouns,
        phone=one.phone,
    )


def _let_in(made: Seed, one: Someone) -> None:
    """Set a password, and for the workforce an authenticator; note both for `accounts.json`."""
    hashed = passwords.hash_password(made.practice.vault, one.password)
    sign_in_as = {"role": one.role, "name": one.name, "email": one.email, "password": one.password}
    with made.act() as work:
        person = work.session.get_one(Person, made.people[one.key])
        factors.set_password(work, person, hashed)
        if one.title:
            sign_in_as["totp_secret"] = pyotp.random_base32()
            factors.set_totp(work, person, sign_in_as["totp_secret"])
    made.accounts.append(sign_in_as)


# Two months of history


def _history(made: Seed, now: int) -> None:
    juniper, rowan, wren = (made.records[key] for key in ("juniper", "rowan", "wren"))
    made.clock.at = now - 58 * DAY
    started = from_micros(made.clock.at).date()
    with made.act("sage") as work:
        sertraline = medications.add_medicine(
            work, juniper, medicine_id="sertraline", strength="50 mg", how="1 tablet every morning",
            reason="low mood and worry", prescriber="Dr. Sage Placeholder", started_on=started,
        )  # fmt: skip
        medications.add_medicine(
            work, juniper, medicine_id="hydroxyzine", strength="25 mg", how="1 tablet at night, if needed",
            reason="sleep", prescriber="Dr. Sage Placeholder", started_on=started,
        )  # fmt: skip
        medications.add_medicine(
            work, rowan, medicine_id="lithium", strength="900 mg", how="1 tablet every evening",
            reason="steady mood", prescriber="Dr. Sage Placeholder", started_on=started - timedelta(days=300),
        )  # fmt: skip
        medications.add_medicine(
            work, wren, medicine_id="fluoxetine", strength="10 mg", how="1 capsule every morning",
            reason="worry", prescriber="Dr. Sage Placeholder", started_on=started,
        )  # fmt: skip
        sertraline_id = sertraline.id
    for key, last in (("juniper", "never"), ("rowan", (started - timedelta(days=20)).isoformat()), ("wren", "never")):
        with made.act("sage") as work:
            patients.record_facts(work, made.records[key], _chart_facts(key, last, started), source="chart")
    for days, phq9, gad7 in ((56, (3, 3, 2, 3, 2, 2, 2, 1, 1), (3, 3, 2, 2, 1, 2, 1)),
                             (28, (2, 2, 2, 2, 1, 2, 2, 1, 0), (2, 2, 2, 1, 1, 1, 1))):  # fmt: skip
        made.clock.at = now - days * DAY
        _answer(made, "juniper", "phq9", phq9, "very")
        _answer(made, "juniper", "gad7", gad7, "somewhat")
        _answer(made, "rowan", "phq9", tuple(max(0, each - 2) for each in phq9), "somewhat")
    made.clock.at = now - 27 * DAY
    with made.act("sage") as work:
        medications.change_medicine(work, sertraline_id, strength="100 mg", why="Partly better after four weeks")
    for key, name in (("juniper", "Robin Example"), ("rowan", "Linden Sample"), ("wren", "Marlow Specimen")):
        with made.act(key) as work:
            patients.set_emergency_contact(
                work, made.records[key], name=name, relationship="family", phone=f"(203) 555-01{len(name) + 20}"
            )


def _chart_facts(key: str, last: str, started: date) -> dict[str, Any]:
    known: dict[str, Any] = {"last_in_person": last}
    if key == "juniper":
        known |= {"diagnoses": ["depression", "anxiety"], "pregnancy.status": "no"}
    if key == "rowan":
        known |= {
            "diagnoses": ["bipolar"],
            "lab.lithium_level": {"value": 0.8, "on": (started - timedelta(days=60)).isoformat()},
            "lab.kidney_thyroid_on": (started - timedelta(days=60)).isoformat(),
            "vitals.weight": {"kg": 84, "on": started.isoformat()},
        }
    return known


def _answer(made: Seed, key: str, instrument_id: str, ordinals: tuple[int, ...], hardship: str) -> None:
    """Fill in a questionnaire as its patient."""
    with made.act() as work:
        response_id = questionnaires.assign(work, made.records[key], instrument_id).id
    with made.act(key) as work:
        for ordinal in ordinals:
            item = questionnaires.open_item(questionnaires.open_response(work, response_id))
            assert item is not None  # there are as many questions as answers here
            questionnaires.save_answer(work, response_id, item.id, OPTIONS[ordinal])
        response = questionnaires.open_response(work, response_id)
        if (item := questionnaires.open_item(response)) is not None:
            questionnaires.save_answer(work, response_id, item.id, hardship)
        questionnaires.complete(work, response_id)
    _settle(made, ("response", response_id), "Called the same day. Safe, has a plan.")


def _settle(made: Seed, about: tuple[str, UUID], note: str) -> None:
    """Staff call and close what the past left open."""
    made.clock.at += 2 * HOUR
    with made.act("ash") as work:
        open_ones = [item.id for item in triage.items_about(work, about) if item.resolved_at is None]
    for item_id in open_ones:
        with made.act("ash") as work:
            triage.claim(work, item_id)
            triage.record_call(work, item_id, note)
            triage.resolve(work, item_id, "called", note)


# Letters between visits


LETTERS = {
    "food": "Should I take the tablet with food? It upsets my stomach.",
    "answer": "Yes, with breakfast is fine. If it does not settle within a week, write to us again.",
    "refill": "I have 9 days of sertraline left. Could you renew it at the same pharmacy?",
    "lithium": "Since last night I have been vomiting and my hands are very shaky. I took my lithium.",
    "later": "Could we move the visit to after school?",
}


def _letters(made: Seed, now: int) -> None:
    made.clock.at = now - 20 * DAY
    older = _write_letter(made, "juniper", "medicine_question", "food")
    made.clock.at += 3 * HOUR
    with made.act("ash") as work:
        messaging.send(work, older, new_id(), LETTERS["answer"])
    _settle(made, ("conversation", older), LETTERS["answer"])
    for minutes, key, reason, letter in (
        (50, "juniper", "refill", "refill"),
        (25, "rowan", "side_effect", "lithium"),
        (10, "wren", "appointment", "later"),
    ):
        made.clock.at = now - minutes * MINUTE
        _write_letter(made, key, reason, letter)


def _write_letter(made: Seed, key: str, reason: str, letter: str) -> UUID:
    conversation_id = new_id()
    with made.act(key) as work:
        messaging.open_conversation(work, conversation_id, made.records[key], reason, {})
    with made.act(key) as work:
        messaging.send(work, conversation_id, new_id(), LETTERS[letter])
    return conversation_id


# Visits


def _visits(made: Seed, now: int) -> None:
    zone = made.practice.settings.tz
    local = from_micros(now, zone)
    soon = now + 10 * MINUTE
    soon -= soon % (5 * MINUTE)
    tomorrow = to_micros(datetime.combine(local.date() + timedelta(days=1), time(14, 30), zone))
    later = to_micros(datetime.combine(local.date() + timedelta(days=2), time(10, 0), zone))
    for key, at in (("juniper", soon), ("rowan", tomorrow), ("wren", later)):
        with made.act() as work:
            scheduling.book(work, made.records[key], made.people["sage"], at, 25, "Medication follow-up")


def _write(place: Path, sign_ins: list[dict[str, str]]) -> None:
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(sign_ins, file, indent=2)
