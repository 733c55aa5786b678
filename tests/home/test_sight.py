"""Who can see what is what the rooms enforce, and every page of a guardian says whose record it is."""

import re
from collections.abc import Callable
from datetime import date
from uuid import UUID

import pytest
from flask import Flask
from support.cast import Cast, Client, Member
from werkzeug.routing import Rule

from telepsych.core.actor import Actor, Compartment
from telepsych.core.clock import HOUR
from telepsych.core.errors import TelepsychError
from telepsych.core.ids import new_id
from telepsych.core.work import Work
from telepsych.medications import policy as medications_policy
from telepsych.medications import service as medications
from telepsych.medications.models import PatientMedicine
from telepsych.messaging import audience
from telepsych.messaging import policy as messaging_policy
from telepsych.messaging import service as messaging
from telepsych.messaging.models import Conversation
from telepsych.oversight import policy as oversight_policy
from telepsych.patients import intake, sight, supporters
from telepsych.patients import service as patients
from telepsych.patients.models import Authority
from telepsych.patients.sight import What
from telepsych.questionnaires import policy as questionnaires_policy
from telepsych.questionnaires.models import Response, ResponseState
from telepsych.scheduling import service as scheduling
from telepsych.visits import policy as visits_policy
from telepsych.visits.models import Visit

ClientFor = Callable[[Member], Client]


def fill(cast: Cast, record: UUID) -> UUID:
    """Something of every kind in every compartment of a record. Returns the visit."""
    with cast.begin(cast.manager) as work:
        when = work.now + 5 * HOUR
        scheduling.book(work, record, cast.clinician.person_id, when, 25, "Follow-up")
    with cast.begin(cast.clinician) as work:
        medications.add_medicine(work, record, medicine_id="sertraline", strength="50 mg", how="One in the morning")
        for compartment in Compartment:
            messaging.open_conversation(work, new_id(), record, "something_else", compartment=compartment)
            work.add(
                Response(
                    patient_id=record,
                    compartment=compartment,
                    instrument_id="phq9",
                    instrument_version="1",
                    state=ResponseState.ASSIGNED,
                    assigned_at=work.now,
                )
            )
    with cast.system(writes=False) as work:
        work.asked = True
        return work.session.query(Visit.id).filter(Visit.patient_id == record).one()[0]


def allowed(act: Callable[[], object]) -> bool:
    try:
        return bool(act())
    except TelepsychError:
        return False


def really(work: Work, actor: Actor, record: UUID, what: What, compartment: Compartment) -> bool:
    """Whether the rooms themselves let somebody see a kind of thing in a compartment."""
    now, in_general = work.now, compartment is Compartment.GENERAL
    work.actor = actor
    if what is What.MESSAGES:
        mine = messaging_policy.conversations_of(actor, now)
        return bool(work.all(mine.where(Conversation.patient_id == record, Conversation.compartment == compartment)))
    if what is What.ANSWERS:
        rows = questionnaires_policy.responses_of(actor, now)
        return bool(work.all(rows.where(Response.patient_id == record, Response.compartment == compartment)))
    if what is What.VISITS:
        held = bool(work.all(visits_policy.visits_of(actor, now).where(Visit.patient_id == record)))
        return in_general and (held or allowed(lambda: scheduling.shared_visits(work, record)))
    if what is What.MEDICINES:
        rows_of = medications_policy.medicines_of(actor, now).where(PatientMedicine.patient_id == record)
        return in_general and (bool(work.all(rows_of)) or allowed(lambda: medications.shared_list(work, record)))
    if what is What.CONSENTS:
        return in_general and allowed(lambda: [patients.signatures(work, record)])
    return in_general and bool(oversight_policy.can_see_looks(actor, record))


@pytest.fixture
def extended(cast: Cast) -> dict[str, Member]:
    """The cast, with a supporter and a conservator of the patient, and a nurse who is an aunt of the adolescent."""
    with cast.begin(cast.patient) as work:
        wish = supporters.ask(
            work, cast.patient.record, name="Fir", contact="phone", relationship="", parts=["visits", "medicines"]
        ).id
    with cast.begin(cast.manager, fresh=True) as work:
        fir = intake.take_in_supporter(
            work, cast.patient.record, wish, name="Fir Example", email="fir@example.org", phone="", identity="ID"
        )
        oak = intake.take_in_guardian(
            work, cast.patient.record, name="Oak Example", email="oak@example.org", phone="",
            authority=Authority.CONSERVATOR, document="Decree", opens_confidential=True, identity="ID",
        )  # fmt: skip
        patients.add_proxy(work, cast.adolescent.record, cast.staff.person_id, Authority.PARENT, document="x")
    people = {who.name: who for who in cast.everybody()}
    more = (("Fir Example", fir.person_id), ("Oak Example", oak.person_id))
    return people | {name: Member(cast.practice, name, person) for name, person in more}


@pytest.mark.parametrize("whose", ["patient", "adolescent"])
def test_the_table_says_what_the_rooms_enforce_for_everybody(
    cast: Cast, extended: dict[str, Member], whose: str
) -> None:
    record = getattr(cast, whose).record
    fill(cast, record)
    with cast.begin(cast.manager, writes=False) as work:
        lines = {line.person_id: line for line in sight.sight_of(work, record).lines}
    seen = 0
    for who in extended.values():
        actor, line = who.actor(), lines.get(who.person_id)
        with cast.system(writes=False) as work:
            for what in What:
                for compartment in Compartment:
                    told = line is not None and line.can_see(what, compartment)
                    assert told == really(work, actor, record, what, compartment), (who.name, what, compartment)
                    seen += told
    assert seen > 20
    assert set(lines) <= {who.person_id for who in extended.values()}


def test_who_reads_the_page_and_what_it_says_of_the_private_space(cast: Cast, client_for: ClientFor) -> None:
    record, other = cast.adolescent.record, cast.patient.record
    for who in (cast.adolescent, cast.guardian, cast.clinician, cast.staff, cast.manager):
        page = client_for(who).get(f"/records/{record}/sight")
        assert page.status_code == 200, who.name
        assert cast.guardian.name in page.text
    for who in (cast.guardian, cast.adolescent, cast.stranger, cast.other_patient):
        assert client_for(who).get(f"/records/{other}/sight").status_code == 404, who.name
    before = client_for(cast.guardian).get(f"/records/{record}/sight").text
    with cast.begin(cast.adolescent) as work:
        private = Compartment.CONFIDENTIAL
        messaging.start(work, new_id(), new_id(), record, "something_else", "Only for you.", private)
    client = client_for(cast.guardian)
    assert table_of(client.get(f"/records/{record}/sight").text) == table_of(before)
    assert client.get("/sight").location.endswith(f"/records/{record}/sight")


def table_of(page: str) -> str:
    return page[page.index("<main") : page.index("</main>")]


# Every page of a guardian says whose record it is


STEPS = ("consent", "where", "phone", "contact", "privacy", "guardian", "means", "questions")


def paths(rule: Rule, ids: dict[str, list[str]]) -> list[str]:
    """Addresses of a route with every id that is known, and every step."""
    found = [rule.rule]
    for name in rule.arguments:
        found = [re.sub(rf"<(?:\w+:)?{name}>", value, one) for one in found for value in ids.get(name, ["x"])]
    return found


def test_every_page_that_a_guardian_reaches_names_the_patient(app: Flask, cast: Cast, client_for: ClientFor) -> None:
    record = cast.adolescent.record
    visit = fill(cast, record)
    talk = new_id()
    with cast.begin(cast.guardian) as work:
        messaging.start(work, talk, new_id(), record, "something_else", "How is it going?")
    ids = {
        "patient_id": [str(record)],
        "visit_id": [str(visit)],
        "conversation_id": [str(talk)],
        "step": [*STEPS, "taking"],
        "kind": ["help", "away"],
    }
    client, checked = client_for(cast.guardian), []
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        public = str(view.__dict__.get("telepsych_policy", "public")).startswith("public")
        if "GET" not in (rule.methods or ()) or public:
            continue
        for path in paths(rule, ids):
            answer = client.get(path, follow_redirects=True)
            if answer.status_code == 200 and "<html" in answer.text:
                said = re.search(r'<aside class="whose".*?</aside>', answer.text, re.DOTALL)
                assert said is not None, path
                assert cast.adolescent.name in said.group(), path
                checked.append(rule.rule)
    assert "Where will Wren be" in client.get(f"/check-in/{visit}/where").text
    assert {"/", "/messages", "/medicines", "/visits", "/check-in/<visit_id>", "/messages/<conversation_id>"} <= {
        *checked
    }


def test_of_two_children_each_page_names_the_right_one(cast: Cast, client_for: ClientFor) -> None:
    with cast.system() as work:
        row = patients.add_patient(work, name="Aspen Example", birth_date=date(2018, 1, 1))
        patients.add_proxy(work, row.id, cast.guardian.person_id, Authority.PARENT, identity="Known")
        other = row.id
    client = client_for(cast.guardian)
    for record, name, not_this in (
        (cast.adolescent.record, cast.adolescent.name, "Aspen Example"),
        (other, "Aspen Example", cast.adolescent.name),
    ):
        for path in (f"/?patient={record}", f"/medicines?patient={record}", f"/records/{record}/sight"):
            (said,) = re.findall(r'<aside class="whose".*?</aside>', client.get(path).text, re.DOTALL)
            assert name in said
            assert not_this not in said
    assert "whose" not in client_for(cast.patient).get("/").text
    assert '<aside class="whose"' not in client_for(cast.staff).get(f"/patients/{other}").text


# What belongs to no one but the team


def test_news_of_what_is_set_apart_reach_clinicians_only(cast: Cast) -> None:
    with cast.begin(cast.clinician) as work:
        row = messaging.open_conversation(
            work, new_id(), cast.patient.record, "something_else", compartment=Compartment.SENSITIVE
        )
        assert audience.readers_of(work, row) == {cast.clinician.person_id}


def test_a_medicine_is_changed_under_its_own_patient_only(cast: Cast, client_for: ClientFor) -> None:
    fill(cast, cast.patient.record)
    with cast.system(writes=False) as work:
        work.asked = True
        (medicine,) = (row.id for row in medications.list_of(work, cast.patient.record))
    client = client_for(cast.clinician)
    form = {"stop": "1", "why": "x"}
    assert client.post(f"/patients/{cast.other_patient.record}/medicines/{medicine}", form).status_code == 404
    assert client.post(f"/patients/{cast.patient.record}/medicines/{medicine}", form).status_code == 303
