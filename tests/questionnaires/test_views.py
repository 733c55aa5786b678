"""The question pages: forward and back, leave and come back, look over, send, and the safety page."""

from collections.abc import Callable
from uuid import UUID

import pytest
from support.cast import Cast, Client, Member

from telepsych.core.ids import new_id
from telepsych.questionnaires import service
from telepsych.questionnaires.content import instrument_named
from telepsych.triage import service as triage

ClientFor = Callable[[Member], Client]
ITEMS = [item.id for item in instrument_named("phq9").items]


@pytest.fixture
def visit() -> UUID:
    return new_id()


@pytest.fixture
def response(cast: Cast, visit: UUID) -> UUID:
    with cast.begin(cast.staff) as work:
        return service.assign(work, cast.patient.record, "phq9", visit).id


def page(client: Client, path: str, status: int = 200) -> str:
    got = client.get(path)
    assert got.status_code == status, got.status_code
    return got.get_data(as_text=True)


def send(client: Client, path: str, **fields: str) -> str:
    """Where the form leads."""
    got = client.post(path, fields)
    assert got.status_code == 303, got.get_data(as_text=True)
    return str(got.headers["Location"])


def test_the_whole_form_by_plain_forms(cast: Cast, client_for: ClientFor, response: UUID, visit: UUID) -> None:
    client = client_for(cast.patient)
    place = client.get(f"/questionnaires/{response}").headers["Location"]
    for number, item in enumerate(ITEMS[:9], start=1):
        assert place == f"/questionnaires/{response}/{item}"
        text = page(client, place)
        assert f"Question {number} of 9" in text
        assert "checked" not in text
        place = send(client, place, answer="several_days" if number == 1 else "not_at_all")
    assert place.endswith("/function")
    assert "One more question" in page(client, place)
    place = send(client, place, answer="somewhat")
    assert place.endswith("/review")
    text = page(client, place)
    assert "Somewhat difficult" in text
    assert "A question is still open" not in text
    place = send(client, f"/questionnaires/{response}/complete")
    text = page(client, place)
    assert "Your score is 1 of 27, which means few or no symptoms." in text
    assert "not a diagnosis" in text
    assert f"/check-in/{visit}" in text
    assert client.get(f"/questionnaires/{response}").headers["Location"] == place
    assert client.get(f"/questionnaires/{response}/sleep").headers["Location"] == place


def test_going_back_shows_what_was_chosen(cast: Cast, client_for: ClientFor, response: UUID) -> None:
    client = client_for(cast.patient)
    send(client, f"/questionnaires/{response}/anhedonia", answer="more_than_half")
    text = page(client, f"/questionnaires/{response}/low_mood")
    assert f"/questionnaires/{response}/anhedonia" in text
    assert 'value="more_than_half" checked' in page(client, f"/questionnaires/{response}/anhedonia")


def test_leaving_saves_and_another_device_goes_on(
    cast: Cast, client_for: ClientFor, response: UUID, visit: UUID
) -> None:
    where = send(client_for(cast.patient), f"/questionnaires/{response}/anhedonia", answer="not_at_all", leave="1")
    assert where == f"/check-in/{visit}"
    elsewhere = client_for(cast.patient)
    assert elsewhere.get(f"/questionnaires/{response}").headers["Location"].endswith("/low_mood")
    where = send(elsewhere, f"/questionnaires/{response}/low_mood", leave="1")
    assert where == f"/check-in/{visit}"


def test_continue_without_an_answer_says_what_to_do(cast: Cast, client_for: ClientFor, response: UUID) -> None:
    got = client_for(cast.patient).post(f"/questionnaires/{response}/anhedonia", {})
    assert got.status_code == 422
    assert "Please choose one of the answers." in got.get_data(as_text=True)


def test_declining(cast: Cast, client_for: ClientFor, response: UUID) -> None:
    client = client_for(cast.patient)
    assert "rather not answer" in page(client, f"/questionnaires/{response}/sleep")
    send(client, f"/questionnaires/{response}/sleep", decline="1")
    assert "Chose not to answer" in page(client, f"/questionnaires/{response}/review")


def test_an_answer_changed_from_the_review_leads_back_there(cast: Cast, client_for: ClientFor, response: UUID) -> None:
    client = client_for(cast.patient)
    send(client, f"/questionnaires/{response}/sleep", answer="not_at_all")
    assert 'name="reviewing"' in page(client, f"/questionnaires/{response}/sleep?reviewing=1")
    where = send(client, f"/questionnaires/{response}/sleep", answer="several_days", reviewing="1")
    assert where == f"/questionnaires/{response}/review"


def test_a_form_with_an_open_question_is_not_sent(cast: Cast, client_for: ClientFor, response: UUID) -> None:
    client = client_for(cast.patient)
    assert "A question is still open" in page(client, f"/questionnaires/{response}/review")
    assert send(client, f"/questionnaires/{response}/complete").endswith("/review")


def test_a_sensitive_question_says_why_we_ask(cast: Cast, client_for: ClientFor, response: UUID) -> None:
    text = page(client_for(cast.patient), f"/questionnaires/{response}/self_harm")
    assert "We ask everyone this" in text
    assert text.index("We ask everyone this") < text.index("better off dead")


def test_a_safety_answer_leads_to_the_calm_page_and_on(cast: Cast, client_for: ClientFor, response: UUID) -> None:
    client = client_for(cast.patient)
    where = send(client, f"/questionnaires/{response}/self_harm", answer="several_days")
    assert where == f"/safety/{response}"
    text = page(client, where)
    assert 'href="tel:988"' in text
    assert 'href="tel:911"' in text
    assert "I am safe right now" in text
    assert "24 at 2:00\xa0PM (Eastern)" in text
    assert client.get(f"/questionnaires/{response}").headers["Location"] == where
    assert send(client, where, safe="1") == where
    assert "You told us at" in page(client, where)
    assert send(client, where, **{"continue": "1"}).endswith("/anhedonia")
    assert send(client, f"/questionnaires/{response}/self_harm", answer="nearly_every_day").endswith("/function")
    with cast.begin(cast.clinician, writes=False) as work:
        assert len(triage.open_items(work)) == 1


def test_saving_in_passing(cast: Cast, client_for: ClientFor, response: UUID) -> None:
    client = client_for(cast.patient)
    got = client.put(f"/api/questionnaires/{response}/answers/sleep", {"answer": "not_at_all"})
    assert (got.status_code, got.get_json()["goto"]) == (200, None)
    got = client.put(f"/api/questionnaires/{response}/answers/self_harm", {"answer": "several_days"})
    assert got.get_json()["goto"] == f"/safety/{response}"
    for body in ({"answer": "often"}, {}, [], None):
        assert client.put(f"/api/questionnaires/{response}/answers/sleep", body).status_code == 422
    assert client.put(f"/api/questionnaires/{response}/answers/item9", {"answer": "not_at_all"}).status_code == 404


@pytest.mark.parametrize("name", ["other_patient", "adolescent", "guardian", "stranger"])
def test_a_foreign_or_forged_address_is_not_there(cast: Cast, client_for: ClientFor, response: UUID, name: str) -> None:
    client = client_for(getattr(cast, name))
    for identifier in (response, new_id(), "x"):
        for path in ("", "/sleep", "/review", "/result"):
            page(client, f"/questionnaires/{identifier}{path}", 404)
        page(client, f"/safety/{identifier}", 404)
        got = client.put(f"/api/questionnaires/{identifier}/answers/sleep", {"answer": "not_at_all"})
        assert got.status_code == 404
        assert client.post(f"/questionnaires/{identifier}/sleep", {"answer": "not_at_all"}).status_code == 404
        assert client.post(f"/questionnaires/{identifier}/complete", {}).status_code == 404


def test_every_question_of_every_instrument_has_a_page(cast: Cast, client_for: ClientFor) -> None:
    with cast.begin(cast.staff) as work:
        given = [service.assign(work, cast.patient.record, name) for name in ("phq9", "gad7", "asq")]
    client = client_for(cast.patient)
    for one in given:
        for item in instrument_named(one.instrument_id).items:
            if item.asked_when is None:
                assert item.text.split("'")[0][:30] in page(client, f"/questionnaires/{one.id}/{item.id}")
