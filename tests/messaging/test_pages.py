"""The pages without a script, the small JSON, and the promise that no internal note reaches a patient."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from telepsych.app import create_app
from telepsych.core.actor import Compartment
from telepsych.core.errors import Refused
from telepsych.core.ids import new_id
from telepsych.messaging import service
from telepsych.triage.screen import shipped
from telepsych.web import drafts

if TYPE_CHECKING:
    from support.cast import Cast, Client, Member

    from telepsych.core.work import Practice

    ClientFor = Callable[[Member], Client]


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found
    return found[1]


def first_letter(client: "Client", body: str, reason: str = "side_effect", **more: str) -> str:
    """Write a first letter as a form does. Returns the conversation's page."""
    page = client.get(f"/messages/new?reason={reason}").text
    fields = {name: hidden(page, name) for name in ("conversation_id", "client_id", "reason", "about")}
    answer = client.post("/messages/new", {**fields, "body": body, **more})
    assert answer.status_code == 303
    return str(answer.location)


def test_a_patient_writes_and_reads_the_answer_without_a_script(cast: "Cast", client_for: "ClientFor") -> None:
    patient = client_for(cast.patient)
    assert "No messages yet" in patient.get("/messages").text
    assert "A side effect" in patient.get("/messages/new").text
    before = patient.get("/messages/new?reason=side_effect").text
    assert "When to call instead" in before
    assert "Nobody watches them overnight" in before
    where = first_letter(patient, "I feel a bit queasy in the mornings.")
    page = patient.get(where).text
    assert "Delivered" in page
    assert "Someone reads this by" in page
    conversation_id = UUID(where.rsplit("/", 1)[1])
    with cast.begin(cast.staff) as work:
        service.mark_read(work, conversation_id, 1)
        service.send(work, conversation_id, new_id(), "Please take it with breakfast.")
    assert "New answer" in patient.get("/messages").text
    page = patient.get(where).text
    assert "Read by the care team" in page
    assert "Ash Example, nurse" in page
    assert patient.post(where, {"client_id": hidden(page, "client_id"), "body": "Thank you."}).status_code == 303
    with cast.begin(cast.staff, writes=False) as work:
        thread = service.thread(work, conversation_id)
    assert [letter.body for letter in thread.letters][-1] == "Thank you."
    assert thread.read_by_patient == 3  # opening the page was reading the answer


def test_after_words_of_danger_help_stands_above_the_letters(cast: "Cast", client_for: "ClientFor") -> None:
    patient = client_for(cast.patient)
    page = patient.get(first_letter(patient, "I want to kill myself tonight")).text
    assert page.index('class="help-lines"') < page.index("I want to kill myself tonight")


def test_the_safety_screen_is_read_before_any_letter(practice: "Practice") -> None:
    shipped.cache_clear()
    create_app(practice=practice)
    assert shipped.cache_info().currsize == 1


def test_what_was_typed_comes_back_with_the_error(cast: "Cast", client_for: "ClientFor") -> None:
    patient = client_for(cast.patient)
    where = first_letter(patient, "Hello")
    answer = patient.post(where, {"client_id": str(new_id()), "body": "y" * 20_001})
    assert answer.status_code == 422
    assert "y" * 20_001 in answer.text
    name = hidden(patient.get(where).text, "client_id")
    patient.post(where, {"client_id": name, "body": "One"})
    changed = patient.post(where, {"client_id": name, "body": "Two"})
    assert changed.status_code == 409
    assert ">Two</textarea>" in changed.text


def test_an_adolescent_may_keep_it_from_the_guardian(cast: "Cast", client_for: "ClientFor") -> None:
    wren, guardian = client_for(cast.adolescent), client_for(cast.guardian)
    assert "Keep this between me and my care team" in wren.get("/messages/new?reason=refill").text
    assert "Keep this between" not in client_for(cast.patient).get("/messages/new?reason=refill").text
    assert "Keep this between" not in guardian.get("/messages/new?reason=refill").text
    private = first_letter(wren, "Only for you", private="yes")
    shared = first_letter(wren, "For everybody")
    assert guardian.get(private).status_code == 404
    page = guardian.get(shared).text
    assert "For everybody" in page
    assert "About Wren" in page


def test_the_names_that_clients_rely_on(cast: "Cast", client_for: "ClientFor") -> None:
    patient, team = client_for(cast.patient), client_for(cast.staff)
    where = f"/api/conversations/{new_id()}"
    start = {"reason": "refill", "details": {}}
    assert patient.put(where, start).status_code == 201
    assert patient.put(where, start).status_code == 201
    assert patient.put(where, {**start, "reason": "forms"}).status_code == 409
    name = new_id()
    first = patient.put(f"{where}/messages/{name}", {"body": "Nine days left."})
    assert (first.status_code, set(first.json)) == (201, {"id", "seq", "sent_at", "read_by", "help"})
    again = patient.put(f"{where}/messages/{name}", {"body": "Nine days left."})
    assert (again.status_code, again.json) == (200, first.json)
    changed = patient.put(f"{where}/messages/{name}", {"body": "Two days left."})
    assert (changed.status_code, changed.content_type) == (409, "application/problem+json")
    assert team.post(f"{where}/read", json={"seq": 1}).json == {"read_up_to": 1}
    found = patient.get(f"{where}/sync?after=0").json
    assert [(event["seq"], event["type"]) for event in found["events"]] == [(1, "message"), (2, "receipt")]
    assert found["up_to"] == 2
    assert patient.get(f"{where}/sync?after=2").json == {"events": [], "up_to": 2}
    assert patient.get(f"{where}/sync?after=-1").status_code == 422
    for stranger in (cast.other_patient, cast.stranger, cast.guardian):
        assert client_for(stranger).get(f"{where}/sync?after=0").status_code == 404
        assert client_for(stranger).put(f"{where}/messages/{uuid4()}", {"body": "Hi"}).status_code == 404
    assert patient.http.put(f"{where}/messages/{uuid4()}", json={"body": "Hi"}).status_code == 403


def test_sending_drops_the_draft_of_what_was_sent_and_no_other(cast: "Cast", client_for: "ClientFor") -> None:
    patient = client_for(cast.patient)
    conversation_id = first_letter(patient, "Hello").rsplit("/", 1)[1]
    place, where = f"conversation:{conversation_id}", f"/api/conversations/{conversation_id}"
    for typed, sent, left in (("One", "One", {}), ("Half a thought", "Two", {"body": "Half a thought"})):
        with cast.begin(cast.patient) as work:
            drafts.keep(work, place, {"body": typed})
        patient.put(f"{where}/messages/{new_id()}", {"body": sent})
        with cast.begin(cast.patient, writes=False) as work:
            assert drafts.kept(work, place) == left


@example(words="onlyfortheteam", private=False, before=False)
@example(words="onlyfortheteam", private=False, before=True)
@example(words="onlyfortheteam", private=True, before=False)
@example(words="onlyfortheteam", private=True, before=True)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.from_regex(r"[a-z]{12,30}", fullmatch=True), private=st.booleans(), before=st.booleans())
def test_no_note_reaches_the_patients_side(
    cast: "Cast", client_for: "ClientFor", words: str, private: bool, before: bool
) -> None:
    """Whatever the team notes, wherever in the talk: pages, answers, events, drafts and news hold none of it."""
    compartment = Compartment.CONFIDENTIAL if private else Compartment.GENERAL
    where = new_id()
    with cast.begin(cast.adolescent) as work:
        service.open_conversation(work, where, cast.adolescent.record, "forms", {}, compartment=compartment)
        service.send(work, where, new_id(), "For school")
    with cast.begin(cast.staff) as work:
        if before:
            service.add_note(work, where, words)
        service.send(work, where, new_id(), "We will look")
        if not before:
            service.add_note(work, where, words)
        told = {person for news in work.news if news.name != "conversation:news" for person in news.people}
    assert not told & {cast.adolescent.person_id, cast.guardian.person_id}
    with cast.begin(cast.clinician, writes=False) as work:
        assert [note.body for note in service.notes(work, where)] == [words]
    for who in (cast.adolescent, cast.guardian):
        client = client_for(who)
        pages = ("/messages", f"/messages/{where}", "/messages/new", f"/api/drafts/conversation:{where}")
        for path in (*pages, f"/api/conversations/{where}/sync?after=0"):
            assert words not in client.get(path).text
        with cast.begin(who, writes=False) as work:
            for line in service.conversations(work):
                assert words not in repr(service.thread(work, line.conversation_id))


def test_only_the_team_notes_and_reads_notes(cast: "Cast") -> None:
    where = new_id()
    with cast.begin(cast.adolescent) as work:
        service.open_conversation(work, where, cast.adolescent.record, "forms", {})
    for who in (cast.adolescent, cast.guardian):
        for act in (lambda work: service.add_note(work, where, "Mine"), lambda work: service.notes(work, where)):
            try:
                with cast.begin(who) as work:
                    act(work)
            except Refused:
                continue
            raise AssertionError(f"{who.name} was let in")
