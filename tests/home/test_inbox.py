"""The staff's inbox through its pages: seeing, claiming, noting, answering, resolving."""

import re
from collections.abc import Callable
from uuid import UUID

import pytest
from support.cast import Cast, Client, Member

from telepsych.core.actor import Compartment
from telepsych.core.ids import new_id
from telepsych.messaging import service as messaging
from telepsych.triage import service as triage
from telepsych.triage.models import ItemKind, ItemState, WorkItem
from telepsych.triage.priority import Priority

ClientFor = Callable[[Member], Client]
LETTER = "Can I take the hydroxyzine twice on bad nights?"


def write(
    cast: Cast, body: str = LETTER, who: Member | None = None, compartment: Compartment = Compartment.GENERAL
) -> tuple[UUID, WorkItem]:
    """A letter of a patient, and the item it makes."""
    who, conversation_id = who or cast.patient, new_id()
    with cast.begin(who) as work:
        messaging.start(work, conversation_id, new_id(), who.record, "medicine_question", body, compartment)
    with cast.begin(cast.staff, writes=False) as work:
        (item,) = triage.items_about(work, ("conversation", conversation_id))
    return conversation_id, item


def now(cast: Cast, item: WorkItem) -> WorkItem:
    with cast.system(writes=False) as work:
        return triage.open_item(work, item.id)


def reply(client: Client, item: WorkItem, body: str) -> int:
    fields = {"reply": body, "client_id": str(new_id()), "conversation_id": str(new_id())}
    return client.post(f"/inbox/{item.id}/reply", fields).status_code


def test_what_a_patient_writes_is_in_the_list_in_its_group(cast: Cast, client_for: ClientFor) -> None:
    write(cast)
    write(cast, "I want to kill myself tonight", cast.other_patient)
    page = client_for(cast.staff).get("/inbox").text
    assert "Juniper Example" in page
    assert LETTER in page
    assert page.index("Safety — look now") < page.index("Rowan Sample") < page.index("Juniper Example")
    assert re.search(r"<title>[^<]*Inbox", page)
    assert "Juniper" not in re.search(r"<title>.*?</title>", page, re.S).group()  # type: ignore[union-attr]


def test_opening_an_item_shows_the_letter_the_facts_and_the_clocks_and_reads_it(
    cast: Cast, client_for: ClientFor
) -> None:
    conversation_id, item = write(cast)
    page = client_for(cast.staff).get(f"/inbox/{item.id}").text
    assert LETTER in page
    assert "Reply or call by" in page
    assert "Emergency contact" in page
    assert now(cast, item).read_at is not None
    with cast.begin(cast.patient, writes=False) as work:
        assert messaging.thread(work, conversation_id).read_by_team == 1


def test_a_reply_takes_the_item_on_stops_its_clock_and_reaches_the_patient(cast: Cast, client_for: ClientFor) -> None:
    conversation_id, item = write(cast)
    assert reply(client_for(cast.staff), item, "Once a night, please.") == 303
    assert now(cast, item).state is ItemState.WAITING
    assert now(cast, item).claimed_by == cast.staff.person_id
    with cast.begin(cast.patient, writes=False) as work:
        assert messaging.thread(work, conversation_id).letters[-1].body == "Once a night, please."


def test_a_second_person_hears_who_is_on_it_and_keeps_what_they_typed(cast: Cast, client_for: ClientFor) -> None:
    conversation_id, item = write(cast)
    assert client_for(cast.staff).post(f"/inbox/{item.id}/claim").status_code == 303
    fields = {"reply": "My careful answer", "client_id": str(new_id())}
    answer = client_for(cast.clinician).post(f"/inbox/{item.id}/reply", fields)
    assert answer.status_code == 409
    assert "Ash Example is working on this" in answer.text
    assert "My careful answer" in answer.text
    with cast.begin(cast.patient, writes=False) as work:
        assert len(messaging.thread(work, conversation_id).letters) == 1
    fields = {"take_over_from": str(cast.staff.person_id)}
    assert client_for(cast.clinician).post(f"/inbox/{item.id}/claim", fields).status_code == 303
    assert reply(client_for(cast.clinician), item, "My careful answer") == 303


def test_a_note_is_the_teams_own(cast: Cast, client_for: ClientFor) -> None:
    conversation_id, item = write(cast)
    staff = client_for(cast.staff)
    assert staff.post(f"/inbox/{item.id}/note", {"internal_note": "Sounds worried to me"}).status_code == 303
    assert "Sounds worried to me" in staff.get(f"/inbox/{item.id}").text
    patient = client_for(cast.patient)
    for path in (f"/messages/{conversation_id}", "/messages", f"/api/conversations/{conversation_id}/sync?after=0"):
        assert "Sounds worried" not in patient.get(path).text
    assert now(cast, item).replied_at is None


def test_resolving_asks_how_it_ended(cast: Cast, client_for: ClientFor) -> None:
    _, item = write(cast, "I want to kill myself tonight")
    staff = client_for(cast.staff)
    refused = staff.post(f"/inbox/{item.id}/resolve", {"disposition": "answered"})
    assert refused.status_code == 422
    assert "Nobody has answered or called yet" in refused.text
    assert staff.post(f"/inbox/{item.id}/call", {"call_note": "Safe with her sister"}).status_code == 303
    assert staff.post(f"/inbox/{item.id}/resolve", {"disposition": "called"}).status_code == 303
    assert now(cast, item).disposition == "called"
    assert "Juniper Example" not in staff.get("/inbox").text


def test_an_item_about_something_else_is_answered_by_a_new_conversation(cast: Cast, client_for: ClientFor) -> None:
    with cast.begin(cast.patient) as work:
        item = triage.raise_item(
            work, cast.patient.record, ItemKind.SAFETY_ANSWER, Priority.URGENT,
            title="Thoughts of self-harm reported", why=["PHQ-9 item 9"], about=("response", new_id()),
        )  # fmt: skip
    staff = client_for(cast.staff)
    assert "Thoughts of self-harm reported" in staff.get(f"/inbox/{item.id}").text
    assert reply(staff, item, "Thank you for telling us. May I call you?") == 303
    assert now(cast, item).state is ItemState.WAITING
    with cast.begin(cast.patient, writes=False) as work:
        assert "May I call you" in messaging.conversations(work, cast.patient.record)[0].excerpt


@pytest.mark.parametrize("act", ["", "/talk"])
def test_nobody_else_opens_an_item(cast: Cast, client_for: ClientFor, act: str) -> None:
    _, item = write(cast)
    assert client_for(cast.stranger).get(f"/inbox/{item.id}{act}").status_code == 404
    assert client_for(cast.stranger).post(f"/inbox/{item.id}/claim").status_code == 404
    for who in (cast.patient, cast.guardian):
        assert client_for(who).get(f"/inbox/{item.id}{act}").status_code == 403


def test_fragments_and_filters(cast: Cast, client_for: ClientFor) -> None:
    _, item = write(cast)
    staff = client_for(cast.staff)
    assert LETTER in staff.get("/inbox/queue?show=unassigned").text
    staff.post(f"/inbox/{item.id}/claim")
    assert LETTER not in staff.get("/inbox/queue?show=unassigned").text
    assert LETTER in staff.get(f"/inbox/queue?show=mine&current={item.id}").text
    assert "You are on it" in staff.get(f"/inbox/{item.id}/talk").text
    assert staff.post(f"/inbox/{item.id}/release").status_code == 303
    assert staff.post(f"/inbox/{item.id}/assign", {"person": str(cast.clinician.person_id)}).status_code == 303
    assert "Assigned to Dr. Sage Example" in staff.get(f"/inbox/{item.id}/talk").text
