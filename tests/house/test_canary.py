"""No word about anybody lies anywhere in clear: every field there is gets a canary, and then everything is searched.

What has to be typed comes from the sealed-field registry, from the routes and from the forms that pages show, so that
nothing new is left out unawares.
"""

import base64
import logging
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pyotp
import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError, OperationalError
from support.cast import Cast, Client, Member

from house.canary import Board, Typist, files_under, forms_in, sealed_values
from telepsych.accounts import passwords, sign_in
from telepsych.accounts import service as accounts
from telepsych.accounts.models import Person
from telepsych.core.actor import Role, system
from telepsych.core.clock import HOUR, MINUTE, SECOND
from telepsych.core.ids import new_id
from telepsych.core.work import Practice
from telepsych.crypto.sealed import registry
from telepsych.messaging import service as messaging
from telepsych.notifications.jobs import deliver
from telepsych.patients import intake
from telepsych.patients import service as patients
from telepsych.scheduling import service as scheduling
from telepsych.triage import service as triage
from telepsych.triage.jobs import escalate
from telepsych.triage.models import ItemKind
from telepsych.triage.priority import Priority
from telepsych.visits import service as visits
from telepsych.visits import signals

CLOSED = frozenset(
    {
        "ChecklistDecision.level",
        "ChecklistDecision.reason_code",
        "ChecklistDecision.recommended",
        "ConsentSignature.answers",
        "ConsentSignature.capacity",
        "ConsentSignature.text",
        "Conversation.reason",
        "EvaluationSnapshot.result",
        "Fact.code",
        "Fact.source",
        "MedicationCheckIn.alerts",
        "MedicationCheckIn.answers",
        "MedicationCheckIn.history",
        "Message.help",
        "Patient.birth_date",
        "PatientMedicine.medicine_id",
        "Response.age",
        "Response.answers",
        "Response.history",
        "Response.safety",
        "Response.score",
        "SignInSession.device",
        "TaskTick.task",
        "Visit.admitted",
        "Visit.telemetry",
        "VisitHeartbeat.figures",
        "WorkItem.disposition",
    }
)
"""Fields that take no free text: chosen from a list, worked out, or a date. Here any value counts."""
NO_DOOR_YET = frozenset({"Factor.label"})
"""Fields that nothing writes. As soon as something does, the test asks for a canary in it."""
DANGER = "I want to kill myself tonight"
TODAY, ELEVEN, TWELVE = "2026-11-24", "11:00", "12:00"
ClientFor = Callable[[Member], Client]


class Journal(logging.FileHandler):
    """A log that is written out once, at the end: thousands of lines come fast."""

    def flush(self) -> None:
        """Nothing between."""


@pytest.fixture(autouse=True)
def journal(tmp_path: Path) -> Iterator[Path]:
    """Everything any library logs at its most talkative, from before the databases are opened."""
    place = tmp_path / "journal" / "everything.log"
    place.parent.mkdir()
    handler = Journal(place, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s %(pathname)s"))
    root, database = logging.getLogger(), logging.getLogger("sqlalchemy")
    loggers = [one for one in logging.Logger.manager.loggerDict.values() if isinstance(one, logging.Logger) and one.level]
    before = {one: one.level for one in (root, *loggers)}
    for one in before:
        one.setLevel(logging.DEBUG)
    for one in (root, database):
        one.addHandler(handler)
    database.propagate = False
    yield place
    database.propagate = True
    for one in (root, database):
        one.removeHandler(handler)
    for one, level in before.items():
        one.setLevel(level)
    handler.close()


@pytest.fixture(autouse=True)
def scraps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary files are made where they are found again."""
    place = tmp_path / "scraps"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@dataclass
class Story:
    """Who types, and what came of it so far."""

    board: Board
    app: Flask
    practice: Practice
    cast: Cast
    client_for: ClientFor
    patient: Member
    visit: UUID
    talk: UUID

    def typist(self, who: Member) -> Typist:
        """Somebody of the cast at a browser of their own."""
        return Typist.of(self.board, self.app, self.client_for(who))

    def stranger(self) -> Typist:
        """Somebody who has not signed in."""
        someone = Typist(self.board, self.app, self.app.test_client())
        page = someone.get("/sign-in")
        someone.token = page.split('name="csrf_token" value="')[1].split('"')[0]
        return someone

    def canary(self, place: str) -> str:
        return self.board.canary(place)

    def all(self, place: str, *names: str) -> dict[str, str]:
        """A canary for each of these fields."""
        return {name: self.canary(f"{place} {name}") for name in names}

    def pass_time(self, micros: int) -> None:
        self.practice.clock.move(micros)  # type: ignore[attr-defined]


@pytest.fixture
def story(app: Flask, practice: Practice, cast: Cast, client_for: ClientFor) -> Story:
    """Begins with somebody taken into care whose every word is a canary, and a visit of theirs this morning."""
    made = Story(Board(), app, practice, cast, client_for, cast.patient, UUID(int=0), new_id())
    made.patient = taken_in(made)
    made.visit = booked(made)
    return made


def test_no_word_about_anybody_lies_anywhere_in_clear(
    story: Story,
    tmp_path: Path,
    journal: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = log_place(story.practice)
    for act in ACTS:
        act(story)
    provoke_defects(story, monkeypatch)
    refuse_everything(story)
    everybody_leaves(story)
    said = capfd.readouterr()
    story.board.notice("standard output", said.out)
    story.board.notice("standard error", said.err)

    assert unexercised(story) == []
    assert story.board.untyped() == []
    assert unopened(story) == []
    assert story.board.leaks == []
    written = written_out(journal)
    assert "INSERT INTO message" in written
    assert "defect" in written
    assert list((tmp_path / "outbox").glob("*.eml"))

    control = Board()
    plant(story.practice, control, tmp_path)
    found, caught = search(story, control, tmp_path, before)
    assert found == {}
    assert {"a scratch table (raw)", "a scrap of paper (base64 at 0)"} <= {one for hits in caught.values() for one in hits}


def written_out(journal: Path) -> str:
    for handler in logging.getLogger().handlers:
        if isinstance(handler, Journal):
            handler.stream.flush()
    return journal.read_text(encoding="utf-8")


# What has to be exercised


def unexercised(story: Story) -> list[str]:
    """Sealed fields that hold no canary in any row, or where they take no free text, nothing anybody gave."""
    with story.cast.system(writes=False) as work:
        work.asked = True
        values = list(sealed_values(work))
    typed = {place for place, value, _ in values if story.board.mark in str(value).casefold()}
    given = {place for place, value, default in values if value != default}
    known = {f"{model.__name__}.{name}" for model, names in registry() for name in names}
    needed = {place: place in (given if place in CLOSED else typed) for place in known - NO_DOOR_YET}
    surprises = (given & NO_DOOR_YET) | ((CLOSED | NO_DOOR_YET) - known)
    return sorted({place for place, done in needed.items() if not done} | surprises)


def unopened(story: Story) -> list[str]:
    """Doors that take something and were never handed a canary."""
    every = {
        (method, rule.rule)
        for rule in story.app.url_map.iter_rules()
        for method in (rule.methods or set()) & {"POST", "PUT", "PATCH"}
    }
    return sorted(f"{method} {rule}" for method, rule in every - story.board.opened)


# The story


def taken_in(story: Story) -> Member:
    """A patient whose name, address and number are canaries."""
    manager, typed = story.typist(story.cast.manager), story.all("patient", "name", "preferred_name", "pronouns", "phone")
    manager.spoil("/patients/new")
    manager.spoil("/patients")
    email = f"{story.canary('patient email')}@example.org"
    where = manager.send("/patients/new", birth_date="1990-05-17", email=email, **typed).headers["Location"]
    patient_id = UUID(where.rsplit("/", 1)[1])
    with story.cast.system(writes=False) as work:
        person = accounts.find_by_email(work, email)
        work.asked = True
        assert person is not None
    return Member(story.practice, typed["name"], person.id, patient_id)


def booked(story: Story) -> UUID:
    staff, place = story.typist(story.cast.staff), f"/patients/{story.patient.record}/book"
    staff.spoil(place)
    chosen = {"clinician": str(story.cast.clinician.person_id), "date": TODAY, "minutes": "25"}
    staff.send(place, **chosen, time=ELEVEN, reason=story.canary("appointment reason"))
    with story.cast.begin(story.cast.staff) as work:
        start = work.now + 3 * HOUR
        other = scheduling.book(work, story.cast.other_patient.record, story.cast.clinician.person_id, start, 25, "x")
        scheduling.cancel(work, other.id, story.canary("appointment why cancelled"))
    with story.cast.begin(story.cast.clinician, writes=False) as work:
        return visits.upcoming(work, story.patient.record)[0].id


def people_of_the_practice(story: Story) -> None:
    """What only an operator writes: names, titles and teams."""
    with story.cast.system() as work:
        accounts.add_team(work, story.canary("team name"))
        texts = story.all("person", "name", "title", "phone")
        accounts.add_person(work, roles={Role.STAFF}, email="linden@example.org", **texts)
        work.session.flush()
        patients.add_patient(
            work, name="Reed Example", birth_date=date(1980, 2, 3), language=story.canary("language")
        )


def an_invitation_is_taken_up(story: Story) -> None:
    manager, guest = story.typist(story.cast.manager), story.stranger()
    extra = {"unasked": story.canary("invitation unasked")}
    page = manager.send(f"/patients/{story.patient.record}/invitation", 200, **extra).get_data(as_text=True)
    found = re.search(r"/invitation#([\w-]+)", page)
    assert found
    token = found.group(1)
    story.board.secrets[token] = "the token of an invitation"
    guest.spoil("/invitation")
    page = guest.send("/invitation", 200, token=token).get_data(as_text=True)
    guest.send("/invitation/password", 422, token=token, password=story.canary("short")[:9])
    guest.send("/invitation/password", 422, token=story.canary("no token"), password=story.canary("password"))
    guest.send("/invitation/password", 302, token=token, password=story.canary("password"))


def a_proxy_is_entered(story: Story) -> None:
    manager, place = story.typist(story.cast.manager), f"/patients/{story.patient.record}/proxies"
    manager.spoil(f"{place}/new")
    email = f"{story.canary('proxy email')}@example.org"
    manager.send(f"{place}/new", email=email, authority="supporter", **story.all("proxy", "name", "phone", "document"))
    page = manager.get(place)
    actions = [form.action for form in forms_in(page, place)]
    extra = {"unasked": story.canary("proxy unasked")}
    manager.send(next(one for one in actions if one.endswith("/invitation")), 200, **extra)
    manager.send(next(one for one in actions if one.endswith("/suspension")), **extra)


def staff_sign_in(story: Story) -> None:
    """A password, then an authenticator whose seed is a canary; wrong ones of each before."""
    email, password = f"{story.canary('staff email')}@example.org", story.canary("staff password")
    hashed = passwords.hash_password(story.practice.vault, password)
    with story.cast.system() as work:
        row: Person = accounts.add_person(work, name="Linden Example", roles={Role.STAFF}, email=email)
        work.session.flush()
        sign_in.set_password(work, row, hashed)
    someone, seed = story.stranger(), (story.canary("seed") + "a" * 32)[:32].upper()
    someone.spoil("/sign-in")
    someone.send("/sign-in", 422, email=email, password=story.canary("wrong password"))
    someone.send("/sign-in", 302, email=email, password=password)
    someone = signed_in_half(someone, "/sign-in/authenticator")
    someone.spoil("/sign-in/authenticator")
    someone.send("/sign-in/authenticator", 302, seed=seed, code=code_now(story, seed))
    story.pass_time(90 * SECOND)
    someone = story.stranger()
    someone.send("/sign-in", 302, email=email, password=password)
    someone = signed_in_half(someone, "/sign-in/code")
    someone.spoil("/sign-in/code")
    someone.send("/sign-in/code", 302, code=code_now(story, seed))


def signed_in_half(someone: Typist, path: str) -> Typist:
    page = someone.get(path)
    someone.token = page.split('name="csrf_token" value="')[1].split('"')[0]
    return someone


def code_now(story: Story, seed: str) -> str:
    return pyotp.TOTP(seed).generate_otp(story.practice.clock.now() // SECOND // 30)


def medicines_are_listed(story: Story) -> None:
    clinician, place = story.typist(story.cast.clinician), f"/patients/{story.patient.record}/medicines"
    clinician.spoil(place)
    texts = story.all("medicine", "strength", "how", "reason", "prescriber")
    clinician.send(place, name=story.canary("medicine name"), started_on="2026-01-05", **texts)
    clinician.send(place, name="lamotrigine", strength="25 mg", how="One in the morning")
    clinician.spoil(place)
    actions = [form.action for form in forms_in(clinician.get(place), place)]
    first = next(one for one in actions if one.startswith(f"{place}/"))
    clinician.send(first, **story.all("medicine changed", "strength", "how", "why"))
    clinician.send(first, stop="1", why=story.canary("medicine stopped"))
    clinician.send(first, again="1")


def the_chart_is_filled_in(story: Story) -> None:
    clinician, place = story.typist(story.cast.clinician), f"/patients/{story.patient.record}/facts"
    clinician.spoil(place)
    clinician.send(place, last_in_person="2026-01-15", pulse="72", pulse_on=TODAY, pregnancy="no")


def the_check_in_is_filled_in(story: Story) -> None:
    patient, place = story.typist(story.patient), f"/check-in/{story.visit}"
    for step in ("consent", "where", "phone", "contact", "privacy", "means", "questions"):
        patient.spoil(f"{place}/{step}")
    (consent,) = (one for one in forms_in(patient.get(f"{place}/consent"), f"{place}/consent") if "agreed" in one.kinds)
    yes = {name: "yes" for name, kind in consent.kinds.items() if kind == "radio"}
    signed = {"agreed": "I agree", "signer_name": story.canary("signer name")}
    patient.send(f"{place}/consent", **consent.fields | yes | signed)
    patient.send(f"{place}/where", state="CT", situation="home", address=story.canary("address"))
    patient.send(f"{place}/phone", number=f"(203) 555-0171 {story.canary('callback')[:22]}")
    contact = story.all("contact", "name", "relationship")
    patient.send(f"{place}/contact", phone=f"(203) 555-0172 {story.canary('contact phone')[:22]}", **contact)
    patient.send(f"{place}/privacy", safe="yes", company="with", who=story.canary("who is there"))
    patient.send(f"{place}/means", access="no")
    patient.send(f"{place}/questions", **story.all("question", "question1", "question2", "question3"))
    devices = {"ok": True, "camera": True, "why": story.canary("devices why")}
    patient.say("POST", f"/visits/{story.visit}/devices", 200, devices)


def questionnaires_are_answered(story: Story) -> None:
    patient, hub = story.typist(story.patient), f"/check-in/{story.visit}"
    for response in sorted(set(re.findall(r'href="(/questionnaires/[\w-]+)"', patient.get(hub)))):
        item = patient.go(response)
        patient.spoil(item)
        wrong = {"answer": story.canary("questionnaire answer")}
        patient.say("PUT", f"/api{item.rsplit('/', 1)[0]}/answers/{item.rsplit('/', 1)[1]}", 422, wrong)
        while not (item := patient.go(response)).endswith("/review"):
            answer_one(patient, item)
        patient.send(f"{response}/complete", unasked=story.canary("questionnaire unasked"))
        patient.get(f"{response}/result")


def answer_one(patient: Typist, path: str) -> None:
    """Answer a question with its second choice, or leave the safety page."""
    if path.startswith("/safety/"):
        patient.send(path, **{"safe": "1", "unasked": patient.board.canary("safety unasked")})
        patient.send(path, on="1")
        return
    (form,) = (one for one in forms_in(patient.page, path) if "answer" in one.kinds)
    patient.send(form.action, answer=form.choices["answer"][1])


def the_medicines_are_told_about(story: Story) -> None:
    """Step by step, with a rash that cannot wait."""
    patient, place = story.typist(story.patient), f"/check-in/{story.visit}/medicines"
    while not (step := patient.go(place)).endswith("/review"):
        if step.endswith("/help"):
            patient.send(step, unasked=story.canary("help unasked"))
            continue
        patient.spoil(step)
        patient.say("PUT", f"/api{step}", 422, {"answer": story.canary("medicine answer"), "unasked": "x"})
        (form,) = (one for one in forms_in(patient.page, step) if one.method == "POST" and one.inputs)
        patient.send(form.action, **{name: chosen(form.choices[name]) for name in form.inputs})
    patient.send(f"{place}/complete", unasked=story.canary("check-in unasked"))


def chosen(choices: list[str]) -> str:
    """A rash where there is one to choose, else the first; a number where there is nothing to choose."""
    return next((one for one in ("rash", "yes") if one in choices), choices[0] if choices else "7")


def letters_are_written(story: Story) -> None:
    patient, ids = story.typist(story.patient), [str(story.talk), *(str(new_id()) for _ in range(4))]
    patient.spoil("/messages/new?reason=something_else")
    body = f"{DANGER} {story.canary('letter')}"
    first = {"conversation_id": ids[0], "client_id": ids[1], "reason": "something_else", "body": body}
    where = patient.send("/messages/new", **first).headers["Location"]
    patient.spoil(where)
    patient.send(where, client_id=ids[2], body=story.canary("second letter"))
    talk = f"/api/conversations/{ids[3]}"
    details = {"note": story.canary("details")}
    patient.say("PUT", talk, 422, {"reason": story.canary("reason"), "details": details})
    patient.say("PUT", talk, 201, {"reason": "side_effect", "details": details})
    patient.say("PUT", f"{talk}/messages/{ids[4]}", 201, {"body": story.canary("letter by script")})
    patient.say("PUT", f"{talk}/messages/{ids[4]}", 409, {"body": story.canary("other words")})
    patient.say("POST", f"{talk}/read", 422, {"seq": story.canary("seq")})
    patient.say("POST", f"{talk}/read", 200, {"seq": 1})
    patient.say("GET", f"{talk}/sync", 200, None)
    patient.get("/messages")


def the_inbox_is_worked_through(story: Story) -> None:
    staff = story.typist(story.cast.staff)
    with story.cast.begin(story.patient) as work:
        title, why = story.canary("item title"), [story.canary("item why")]
        made = triage.raise_item(work, story.patient.record, ItemKind.CALL_BACK, Priority.SOON, title=title, why=why)
    with story.cast.begin(story.cast.staff, writes=False) as work:
        (letter,) = triage.items_about(work, ("conversation", story.talk))
    staff.get("/inbox")
    for item in (made, letter):
        work_on(story, staff, f"/inbox/{item.id}")


def work_on(story: Story, staff: Typist, item: str) -> None:
    extra = {"unasked": story.canary("inbox unasked")}
    staff.get(f"{item}/talk")
    for act in ("acknowledge", "claim", "release"):
        staff.send(f"{item}/{act}", **extra)
    staff.send(f"{item}/read", 204, **extra)
    staff.send(f"{item}/assign", 404, person=story.canary("assignee"))
    staff.send(f"{item}/assign", person=str(story.cast.staff.person_id))
    staff.spoil(item)
    staff.open("POST", f"{item}/note", data={"internal_note": story.canary("internal note")})
    ids = {"client_id": str(new_id()), "conversation_id": str(new_id())}
    staff.send(f"{item}/reply", reply=story.canary("reply"), **ids)
    staff.send(f"{item}/call", call_note=story.canary("call note"))
    closed = {"disposition": "answered", "resolve_note": story.canary("how it ended")}
    answer = staff.open("POST", f"{item}/resolve", data=closed)
    assert answer.status_code in (303, 422)


def they_meet(story: Story) -> None:
    story.pass_time(55 * MINUTE)
    patient, clinician = story.typist(story.patient), story.typist(story.cast.clinician)
    place, extra = f"/visits/{story.visit}", {"unasked": story.canary("visit unasked")}
    patient.say("POST", "/api/session/extend", 200, extra)
    patient.get(f"{place}/waiting")
    clinician.get(f"{place}/door")
    clinician.send(f"{place}/admit", anyway="1", **extra)
    for one in (patient, clinician):
        one.go(f"{place}/room")
        one.get(f"{place}/configuration")
    figures = {"mic": True, "people": [{"state": story.canary("state"), "figures": {"fps": 20}}], **extra}
    patient.say("POST", f"{place}/heartbeat", 200, figures)
    with story.cast.begin(story.patient) as work:
        sdp = {"description": {"sdp": f"a=fingerprint:sha-256 {story.canary('fingerprint')}"}}
        signals.post(work, story.visit, story.cast.clinician.person_id, sdp)
        signals.note_fingerprint(work, story.visit, signals.fingerprint_of(sdp), changed=False)
    clinician.spoil(f"{place}/today")
    clinician.get(f"{place}/brief")
    clinician.get(f"/patients/{story.patient.record}/brief?visit={story.visit}")
    clinician.send(f"{place}/confirm", identity="1", location="1", **extra)
    the_checklist_is_worked_through(story, clinician)
    patient.say("POST", f"{place}/leave", 200, extra)
    clinician.send(f"{place}/end", **extra)
    clinician.spoil(f"{place}/close")
    texts = ("decisions", "medicines", "next_step", "next_visit", "in_person", "whom_to_call")
    clinician.send(f"{place}/close", **story.all("summary", *texts))
    patient.get(f"{place}/summary")
    assert clinician.open("POST", f"{place}/missed", data=extra).status_code < 500


def the_checklist_is_worked_through(story: Story, clinician: Typist) -> None:
    place = f"/visits/{story.visit}/checklist"
    clinician.spoil(place)
    clinician.send(f"{place}/evaluate", unasked=story.canary("evaluate unasked"))
    clinician.send(f"{place}/observations", observed_mania="yes")
    tasks = [one.choices["task"] for one in forms_in(clinician.get(place), place) if one.choices["task"]]
    clinician.send(f"{place}/tasks", task=tasks[0])
    texts = ("reason", "action_taken", "person_contacted", "contacted_at", "offered", "risks_explained", "alternative")
    lower = {"level": "L1", "reason_code": "declined", "next_contact": "2026-11-26"}
    clinician.send(f"{place}/decision", **lower, **story.all("decision", *texts))
    clinician.get(place)


def drafts_are_kept(story: Story) -> None:
    patient = story.typist(story.patient)
    for place in ("message-new", "another-form"):
        patient.say("PUT", f"/api/drafts/{place}", 200, {"fields": {"body": story.canary("draft")}})
    patient.say("PUT", "/api/drafts/message-new", 422, {"words": story.canary("no draft")})
    large = {"fields": {"body": story.canary("large draft") * 5_000}}
    patient.say("PUT", "/api/drafts/message-new", 413, large)
    patient.say("GET", "/api/drafts/message-new", 200, None)
    patient.say("DELETE", "/api/drafts/another-form", 200, None)


def everything_is_looked_at(story: Story) -> None:
    """The pages on which what was typed is shown again."""
    record = story.patient.record
    for who, paths in (
        (story.patient, ("/", "/medicines", "/visits", "/messages", f"/check-in/{story.visit}")),
        (story.cast.clinician, ("/", f"/patients/{record}", f"/patients/{record}/facts", "/inbox", "/patients")),
        (story.cast.manager, ("/patients", f"/patients/{record}/proxies", "/inbox", f"/patients/{record}/book")),
    ):
        someone = story.typist(who)
        for path in paths:
            someone.go(path)


def the_clockwork_runs(story: Story) -> None:
    """Notices leave, and clocks that have run out raise items."""
    assert deliver(story.practice)
    story.pass_time(2 * HOUR)
    escalate(story.practice)


ACTS = (
    people_of_the_practice,
    an_invitation_is_taken_up,
    a_proxy_is_entered,
    staff_sign_in,
    medicines_are_listed,
    the_chart_is_filled_in,
    the_check_in_is_filled_in,
    questionnaires_are_answered,
    the_medicines_are_told_about,
    letters_are_written,
    the_inbox_is_worked_through,
    drafts_are_kept,
    they_meet,
    everything_is_looked_at,
    the_clockwork_runs,
)


# What goes wrong


def provoke_defects(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that fails with what was typed in its hands, and errors that quote it."""
    patient, manager = story.typist(story.patient), story.typist(story.cast.manager)
    ids = {"conversation_id": str(new_id()), "client_id": str(new_id())}
    talk = f"/api/conversations/{new_id()}/messages/{new_id()}"

    def careless(*given: Any, **named: Any) -> None:
        raise RuntimeError(f"cannot take {given} {named}")

    def refused(*given: Any, **named: Any) -> None:
        raise IntegrityError("INSERT INTO patient", {"given": str((given, named))}, ValueError(str(named)))

    def away(*given: Any, **named: Any) -> None:
        raise OperationalError("INSERT INTO message", {"given": str((given, named))}, ValueError(str(given)))

    with monkeypatch.context() as broken:
        broken.setattr(messaging, "send", careless)
        broken.setattr(intake, "take_in", refused)
        letter = {"body": story.canary("defect letter"), "reason": "something_else"}
        assert patient.open("POST", "/messages/new", data=letter | ids).status_code == 500
        assert patient.open("PUT", talk, json={"body": story.canary("defect script")}).status_code == 500
        typed = story.all("defect patient", "name", "phone") | {"birth_date": "1990-01-01"}
        assert manager.open("POST", "/patients/new", data=typed).status_code == 500
        broken.setattr(messaging, "send", away)
        assert patient.open("PUT", talk, json={"body": story.canary("away")}).status_code == 503


def refuse_everything(story: Story) -> None:
    """Requests that nobody may make, or that nothing can read."""
    patient, guest = story.typist(story.patient), story.stranger()
    refused = {"text": story.canary("refused"), "name": story.canary("refused name")}
    assert patient.open("POST", "/patients", data=refused).status_code == 403
    assert guest.open("POST", "/patients/new", data=refused).status_code == 302
    assert guest.open("PUT", "/api/drafts/message-new", json={"fields": refused}).status_code == 401
    assert guest.open("POST", f"/visits/{story.visit}/close", data=refused).status_code == 302
    assert patient.open("POST", f"/messages/{new_id()}", data=refused).status_code == 404
    assert patient.open("POST", "/messages/new", data=story.canary("no form")).status_code < 500
    broken = '{"body": "' + story.canary("broken JSON")
    talk = f"/api/conversations/{new_id()}"
    assert patient.open("PUT", talk, data=broken, content_type="application/json").status_code == 422
    forged = Typist(story.board, story.app, patient.http, story.canary("forged token"))
    assert forged.open("POST", "/messages/new", data=refused).status_code == 403
    ticket = patient.say("GET", "/api/live-ticket", 200, None)["ticket"]
    story.board.secrets[ticket] = "a ticket for the live group"


def everybody_leaves(story: Story) -> None:
    answer = story.typist(story.patient).open("POST", "/sign-out", data={"unasked": story.canary("sign-out unasked")})
    assert answer.status_code == 302


# The search


def plant(practice: Practice, control: Board, folder: Path) -> None:
    """What the search must find: a word in a table, and one in base64 in a file."""
    with practice.records.execution_options(telepsych_writes=True).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE scratch (said TEXT)")
        connection.exec_driver_sql(f"INSERT INTO scratch VALUES ('{control.canary('a scratch table')}')")
    scrap = control.canary("a scrap of paper").encode()
    (folder / "scraps" / "scrap.txt").write_bytes(base64.b64encode(scrap))


def search(story: Story, control: Board, folder: Path, before: str) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Where which canaries lie, of the story and of the control: in files, in a dump, in the database server's own."""
    found: dict[str, set[str]] = {}
    caught: dict[str, set[str]] = {}
    for place, data in everything(story.practice, folder, before):
        found[place], caught[place] = story.board.hits(data), control.hits(data)
    looked_at = "\n".join(found)
    for needed in ("everything.log", ".eml", "keyring.json", "scrap.txt", "records"):
        assert needed in looked_at, needed
    return {place: hits for place, hits in found.items() if hits}, {place: hits for place, hits in caught.items() if hits}


def everything(practice: Practice, folder: Path, before: str) -> Iterator[tuple[str, bytes]]:
    if practice.records.dialect.name == "postgresql":
        yield from cluster_files(practice, before)
    yield from files_under(folder)


def log_place(practice: Practice) -> str:
    """How far PostgreSQL's write-ahead log has come; empty for SQLite."""
    if practice.records.dialect.name != "postgresql":
        return ""
    with admin(practice) as connection:
        return str(connection.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()[0])  # type: ignore[index]


def admin(practice: Practice) -> psycopg.Connection:
    address = practice.records.url
    return psycopg.connect(
        host=str(address.query["host"]), user="postgres", dbname=address.database, autocommit=True
    )


def cluster_files(practice: Practice, before: str) -> Iterator[tuple[str, bytes]]:
    """A dump of the database, its data files after a checkpoint, and the write-ahead log since the story began."""
    address = practice.records.url
    host, name = str(address.query["host"]), str(address.database)
    dump = [sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1] / "pg_dump", "-h", host, "-U", "postgres", name]
    yield "records.dump", subprocess.run(dump, check=True, stdout=subprocess.PIPE).stdout
    with admin(practice) as connection:
        connection.execute("CHECKPOINT")
        oid = connection.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
    assert oid
    yield from files_under(Path(host) / "data" / "base" / str(oid[0]))
    for segment in sorted((Path(host) / "data" / "pg_wal").iterdir()):
        if segment.is_file() and segment.name >= before:
            yield f"pg_wal/{segment.name}", segment.read_bytes()
