"""The patient's list, the check-in's pages, and the clinician's list."""

from collections.abc import Callable
from uuid import UUID

import pytest
from support.cast import Cast, Client, Member

from telepsych.core.ids import new_id
from telepsych.medications import service
from telepsych.triage import service as triage

ClientFor = Callable[[Member], Client]


@pytest.fixture
def lithium(cast: Cast) -> UUID:
    with cast.begin(cast.clinician) as work:
        how = "1 capsule twice a day"
        return service.add_medicine(work, cast.patient.record, medicine_id="lithium", strength="300 mg", how=how).id


@pytest.fixture
def visit(cast: Cast) -> UUID:
    visit_id = new_id()
    with cast.begin(cast.staff) as work:
        service.open_check_in(work, cast.patient.record, visit_id)
    return visit_id


def page(client: Client, path: str, status: int = 200) -> str:
    got = client.get(path)
    assert got.status_code == status, got.status_code
    return got.get_data(as_text=True)


def send(client: Client, path: str, **fields: object) -> str:
    got = client.post(path, fields)
    assert got.status_code == 303, got.get_data(as_text=True)
    return str(got.headers["Location"])


def test_the_whole_check_in_by_plain_forms(cast: Cast, client_for: ClientFor, lithium: UUID, visit: UUID) -> None:
    client, base = client_for(cast.patient), f"/check-in/{visit}/medicines"
    place = client.get(base).headers["Location"]
    assert place == f"{base}/{lithium}.taking"
    assert "lithium 300 mg" in page(client, place)
    place = send(client, place, answer="sometimes")
    assert "last 7 days" in page(client, place)
    place = send(client, place, missed="2", change="none")
    assert "What was the reason?" in page(client, place)
    place = send(client, place, answer=["forgot", "cost"])
    assert "None of these" in page(client, place)
    place = send(client, place, answer=["tremor", "thirst"])
    assert "How many days" in page(client, place)
    place = send(client, place, days="9")
    assert place == f"{base}/severity"
    assert "Shaky hands" in page(client, place)
    place = send(client, place, **{"symptom-tremor": "mild", "symptom-thirst": "severe", "burden": "quite"})
    text = page(client, place)
    assert "Missed doses in the last 7 days: 2" in text
    assert "I forgot, It costs too much" in text
    assert "Very thirsty or passing a lot of urine: Very much" in text
    assert send(client, f"{base}/complete") == f"/check-in/{visit}"
    assert client.get(base).headers["Location"] == f"/check-in/{visit}"


def test_what_cannot_wait_is_said_on_the_next_page(
    cast: Cast, client_for: ClientFor, lithium: UUID, visit: UUID
) -> None:
    client, base = client_for(cast.patient), f"/check-in/{visit}/medicines"
    where = send(client, f"{base}/{lithium}.effects", answer=["vomiting", "confused"])
    assert where == f"{base}/help"
    text = page(client, where)
    assert "Call 911. This can mean that the lithium level is too high." in text
    assert 'href="tel:911"' in text
    assert client.get(base).headers["Location"] == where
    assert send(client, where) == f"{base}/{lithium}.taking"
    with cast.begin(cast.clinician, writes=False) as work:
        (item,) = triage.open_items(work)
    assert item.priority == "emergency"


def test_without_an_answer_the_page_says_what_to_do(
    cast: Cast, client_for: ClientFor, lithium: UUID, visit: UUID
) -> None:
    client, base = client_for(cast.patient), f"/check-in/{visit}/medicines"
    for step in ("taking", "effects", "supply"):
        got = client.post(f"{base}/{lithium}.{step}", {})
        assert got.status_code == 422
        assert "Please " in got.get_data(as_text=True)
    got = client.post(f"{base}/{lithium}.supply", {"days": "a few"})
    assert got.status_code == 422
    assert 'value="a few"' in got.get_data(as_text=True)


def test_leaving_keeps_what_was_filled_in(cast: Cast, client_for: ClientFor, lithium: UUID, visit: UUID) -> None:
    client, base = client_for(cast.patient), f"/check-in/{visit}/medicines"
    send(client, f"{base}/{lithium}.taking", answer="no")
    assert send(client, f"{base}/{lithium}.doses", missed="3", leave="1") == f"/check-in/{visit}"
    place = client_for(cast.patient).get(base).headers["Location"]
    assert place == f"{base}/{lithium}.doses"
    assert 'value="3"' in page(client, place)


def test_saving_in_passing(cast: Cast, client_for: ClientFor, lithium: UUID, visit: UUID) -> None:
    client, base = client_for(cast.patient), f"/api/check-in/{visit}/medicines"
    got = client.put(f"{base}/{lithium}.supply", {"answer": {"days": "", "unsure": True}})
    assert (got.status_code, got.get_json()["goto"]) == (200, None)
    for body in ({"answer": {"days": "-1"}}, {"answer": 3}, {}, None):
        assert client.put(f"{base}/{lithium}.supply", body).status_code == 422
    assert client.put(f"{base}/severity", {"answer": {}}).status_code == 404


def test_no_medicines(cast: Cast, client_for: ClientFor, visit: UUID) -> None:
    client = client_for(cast.patient)
    assert "You have no medicines on our list" in page(client, f"/check-in/{visit}/medicines")
    assert send(client, f"/check-in/{visit}/medicines/complete") == f"/check-in/{visit}"
    assert "no medicines on your list" in page(client, "/medicines")


@pytest.mark.parametrize("name", ["other_patient", "adolescent", "guardian"])
def test_a_foreign_or_forged_address_is_not_there(
    cast: Cast, client_for: ClientFor, lithium: UUID, visit: UUID, name: str
) -> None:
    client = client_for(getattr(cast, name))
    for identifier in (visit, new_id(), "x"):
        base = f"/check-in/{identifier}/medicines"
        for path in ("", f"/{lithium}.taking", "/review", "/help"):
            page(client, f"{base}{path}", 404)
        assert client.post(f"{base}/{lithium}.taking", {"answer": "yes"}).status_code == 404
        assert client.put(f"/api{base}/{lithium}.taking", {"answer": "yes"}).status_code == 404


def test_the_patients_list(cast: Cast, client_for: ClientFor, lithium: UUID) -> None:
    text = page(client_for(cast.patient), "/medicines")
    for words in ("lithium 300 mg", "1 capsule twice a day", "keeping mood steady", "Ask for a refill"):
        assert words in text
    assert "lithium was started: 300 mg, 1 capsule twice a day" in text
    assert "lithium" not in page(client_for(cast.other_patient), "/medicines")


def test_the_clinician_keeps_the_list(cast: Cast, client_for: ClientFor) -> None:
    client, path = client_for(cast.clinician), f"/patients/{cast.patient.record}/medicines"
    assert send(client, path, name="Zoloft", strength="50 mg", started_on="2026-11-02") == path
    with cast.begin(cast.clinician, writes=False) as work:
        (line,) = service.list_of(work, cast.patient.record)
    assert (line.medicine_id, line.label) == ("sertraline", "Zoloft 50 mg")
    send(client, f"{path}/{line.id}", strength="75 mg", how="1 tablet", on="2026-11-20")
    assert "Zoloft 75 mg" in page(client, path)
    send(client, f"{path}/{line.id}", stop="1")
    assert "Start again" in page(client, path)
    send(client, f"{path}/{line.id}", again="1")
    got = client.post(path, {"name": "Seroquel", "started_on": "tomorrow"})
    assert got.status_code == 422
    assert 'value="Seroquel"' in got.get_data(as_text=True)


def test_others_read_the_clinicians_list_or_do_not_find_it(cast: Cast, client_for: ClientFor, lithium: UUID) -> None:
    path = f"/patients/{cast.patient.record}/medicines"
    assert "Add a medicine" not in page(client_for(cast.staff), path)
    assert client_for(cast.staff).post(path, {"name": "lithium"}).status_code == 403
    page(client_for(cast.stranger), path, 404)
    page(client_for(cast.patient), path, 403)
