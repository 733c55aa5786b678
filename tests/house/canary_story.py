"""What people type at every door of the practice, from being taken into care to the summary of a visit, and what goes
wrong on the way. Every word of it is a canary.
"""

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from typing import Any
from uuid import UUID

import pyotp
import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError, OperationalError
from support.cast import Cast, Client, Member

from house.canary import Board, Typist, forms_in
from house.canary_doors import doors_that_take_no_text
from house.canary_oversight import (
    a_record_is_opened_in_an_emergency,
    an_old_record_is_decided_about,
    the_compliance_officer_works,
)
from house.canary_people import a_new_way_in_is_given_and_a_device_named, people_are_looked_after
from house.canary_relations import a_proxy_is_entered, a_supporter_is_asked_for, teams_are_looked_after
from house.canary_signing_in import ways_in_are_changed
from telepsych.accounts import factors, passwords
from telepsych.accounts import service as accounts
from telepsych.core.actor import Role
from telepsych.core.clock import HOUR, MINUTE, SECOND
from telepsych.core.ids import new_id
from telepsych.core.work import Practice
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

DANGER = "I want to kill myself tonight"
TODAY, ELEVEN = "2026-11-24", "11:00"
ClientFor = Callable[[Member], Client]


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

    @classmethod
    def begin(cls, app: Flask, practice: Practice, cast: Cast, client_for: ClientFor) -> "Story":
        """Somebody is taken into care whose every word is a canary, and has a visit this morning."""
        made = cls(Board(), app, practice, cast, client_for, cast.patient, UUID(int=0), new_id())
        made.patient = taken_in(made)
        made.visit = booked(made)
        return made

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


# The story


def taken_in(story: Story) -> Member:
    """A patient whose name, address and number are canaries."""
    manager, typed = (
        story.typist(story.cast.manager),
        story.all("patient", "name", "preferred_name", "pronouns", "phone"),
    )
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
        patients.add_patient(work, name="Reed Example", birth_date=date(1980, 2, 3), language=story.canary("language"))


def an_invitation_is_taken_up(story: Story) -> None:
    manager, guest = story.typist(story.cast.manager), story.stranger()
    extra = {"unasked": story.canary("invitation unasked")}
    page = manager.send(f"/patients/{story.patient.record}/invitation", 200, **extra).get_data(as_text=True)
    found = re.search(r"/invitation#([\w-]+)", page)
    assert found
    token = found.group(1)
    story.board.secrets[token.encode()] = "the token of an invitation"
    guest.spoil("/invitation")
    page = guest.send("/invitation", 200, token=token).get_data(as_text=True)
    guest.send("/invitation/password", 422, token=token, password=story.canary("short")[:9])
    guest.send("/invitation/password", 422, token=story.canary("no token"), password=story.canary("password"))
    guest.send("/invitation/password", 302, token=token, password=story.canary("password"))
    guest.keep_secret("the session token of somebody new")


def staff_sign_in(story: Story) -> None:
    """A password, then an authenticator; wrong ones of each before."""
    email, password = f"{story.canary('staff email')}@example.org", story.canary("staff password")
    hashed = passwords.hash_password(story.practice.vault, password)
    with story.cast.system() as work:
        row = accounts.add_person(work, name="Linden Example", roles={Role.STAFF}, email=email)
        work.session.flush()
        factors.set_password(work, row, hashed)
    someone = story.stranger()
    someone.spoil("/sign-in")
    someone.send("/sign-in", 422, email=email, password=story.canary("wrong password"))
    someone.send("/sign-in", 302, email=email, password=password)
    someone = signed_in_half(someone, "/sign-in/authenticator")
    someone.spoil("/sign-in/authenticator")
    someone.keep_secret("the token of a half-finished sign-in")
    seed = someone.get("/sign-in/authenticator").split('data-role="seed">')[1].split("<")[0]
    someone.send("/sign-in/authenticator", 302, unasked=story.canary("unasked"), code=code_now(story, seed))
    story.pass_time(90 * SECOND)
    someone = story.stranger()
    someone.send("/sign-in", 302, email=email, password=password)
    someone = signed_in_half(someone, "/sign-in/code")
    someone.spoil("/sign-in/code")
    someone.send("/sign-in/recovery", 422, line=story.canary("no line"))
    someone.send("/sign-in/code", 302, code=code_now(story, seed))
    someone.keep_secret("the session token of staff")


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
    patient.send(f"/check-in/{story.visit}/consent/withdrawal", **extra)
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
    a_supporter_is_asked_for,
    teams_are_looked_after,
    staff_sign_in,
    medicines_are_listed,
    the_chart_is_filled_in,
    the_check_in_is_filled_in,
    questionnaires_are_answered,
    the_medicines_are_told_about,
    letters_are_written,
    the_inbox_is_worked_through,
    drafts_are_kept,
    ways_in_are_changed,
    people_are_looked_after,
    a_new_way_in_is_given_and_a_device_named,
    they_meet,
    everything_is_looked_at,
    the_clockwork_runs,
    a_record_is_opened_in_an_emergency,
    the_compliance_officer_works,
    an_old_record_is_decided_about,
    doors_that_take_no_text,
)


# What goes wrong


def provoke_defects(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that fails with what was typed in its hands, errors that quote it, and an upload nobody asked for."""
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
        upload = {
            "name": story.canary("upload"),
            "file": (BytesIO(story.canary("uploaded").encode() * 23_500), "a.txt"),
        }
        broken.setattr(
            tempfile, "TemporaryFile", lambda **how: story.board.leaks.append("an upload on disk") or BytesIO()
        )
        assert manager.open("POST", "/patients/new", data=upload).status_code < 500
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
    story.board.secrets[ticket.encode()] = "a ticket for the live group"


def everybody_leaves(story: Story) -> None:
    answer = story.typist(story.patient).open("POST", "/sign-out", data={"unasked": story.canary("sign-out unasked")})
    assert answer.status_code == 302
