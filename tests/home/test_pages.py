"""Where people land, the brief, the chart and the chart facts: what each shows, and to whom."""

from collections.abc import Callable
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some
from support.cast import Cast, Client, Member
from werkzeug.datastructures import MultiDict

from telepsych.core.clock import HOUR
from telepsych.home import chart_facts
from telepsych.patients import service as patients
from telepsych.questionnaires import service as questionnaires
from telepsych.scheduling import service as scheduling
from telepsych.visits import service as visits

ClientFor = Callable[[Member], Client]
TODAY = date(2026, 11, 24)


@pytest.fixture
def visit_id(cast: Cast) -> UUID:
    """A visit of the patient, two hours from now."""
    with cast.begin(cast.staff) as work:
        scheduling.book(work, cast.patient.record, cast.clinician.person_id, work.now + 2 * HOUR, 25, "Follow-up")
    with cast.begin(cast.clinician, writes=False) as work:
        return visits.upcoming(work, cast.patient.record)[0].id


def page_of(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return answer.get_data(as_text=True)


def test_a_patient_lands_on_what_is_next(cast: Cast, client_for: ClientFor, visit_id: UUID) -> None:
    page = page_of(client_for(cast.patient), "/")
    assert "Good morning, Juniper" in page
    assert "Dr. Sage Example" in page
    assert f"/check-in/{visit_id}" in page
    assert "You can join from" in page
    assert "Write to your care team" in page


def test_without_a_visit_the_page_says_so(cast: Cast, client_for: ClientFor) -> None:
    assert "No visit is planned" in page_of(client_for(cast.other_patient), "/")


def test_a_guardian_sees_whose_record_it_is(cast: Cast, client_for: ClientFor) -> None:
    page = page_of(client_for(cast.guardian), "/")
    assert "Wren" in page
    assert "Good morning, Wren" not in page


def test_staff_land_in_the_inbox_and_clinicians_in_their_day(cast: Cast, client_for: ClientFor, visit_id: UUID) -> None:
    assert client_for(cast.staff).get("/").location == "/inbox"
    page = page_of(client_for(cast.clinician), "/")
    assert "Juniper Example" in page
    assert "Juniper Example" not in page_of(client_for(cast.clinician), "/?day=2026-11-25")
    assert client_for(cast.clinician).get("/?day=someday").status_code == 404


def test_the_compliance_officer_lands_on_what_is_due(cast: Cast, client_for: ClientFor) -> None:
    assert client_for(cast.compliance).get("/").location == "/oversight"


def test_the_brief_puts_what_was_flagged_first(cast: Cast, client_for: ClientFor, visit_id: UUID) -> None:
    with cast.begin(cast.patient) as work:
        mood = next(
            one for one in questionnaires.due(work, cast.patient.record, visit_id) if one.instrument_id == "phq9"
        )
    with cast.begin(cast.patient) as work:
        questionnaires.save_answer(work, mood.id, "self_harm", "more_than_half")
    for path in (f"/patients/{cast.patient.record}/brief?visit={visit_id}", f"/visits/{visit_id}/brief"):
        page = page_of(client_for(cast.clinician), path)
        assert page.index("PHQ-9 item 9") < page.index("Questions for this visit") < page.index("Scores")
        assert "More than half the days" in page


def test_a_visit_of_somebody_else_is_not_in_this_brief(cast: Cast, client_for: ClientFor, visit_id: UUID) -> None:
    path = f"/patients/{cast.other_patient.record}/brief?visit={visit_id}"
    assert client_for(cast.clinician).get(path).status_code == 404


def test_the_chart_is_for_the_patients_team(cast: Cast, client_for: ClientFor, visit_id: UUID) -> None:
    paths = [f"/patients/{cast.patient.record}", f"/patients/{cast.patient.record}/brief?visit={visit_id}"]
    for path in paths:
        assert "Juniper Example" in page_of(client_for(cast.clinician), path)
        assert client_for(cast.stranger).get(path).status_code == 404
        assert client_for(cast.patient).get(path).status_code == 403
    assert client_for(cast.stranger).get(f"/visits/{visit_id}/brief").status_code == 404


def test_chart_facts_are_recorded_once_and_faults_keep_what_was_typed(cast: Cast, client_for: ClientFor) -> None:
    client, path = client_for(cast.clinician), f"/patients/{cast.patient.record}/facts"
    typed = {"bp_systolic": "90", "bp_diastolic": "140", "bp_on": "2026-11-20", "last_in_person": "2031-01-01"}
    answer = client.post(path, typed)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "The first number is larger than the second" in page
    assert "lies in the future" in page
    assert 'value="140"' in page
    typed |= {"bp_systolic": "140", "bp_diastolic": "90", "last_in_person": "2026-01-15", "diagnoses": "depression"}
    for _ in range(2):
        assert client.post(path, typed).status_code == 303
    with cast.begin(cast.clinician, writes=False) as work:
        known = patients.facts_of(work, cast.patient.record)
        again = patients.fact_history(work, cast.patient.record, "vitals.bp")
    assert known["vitals.bp"].value == {"systolic": 140, "diastolic": 90, "on": "2026-11-20"}
    assert known["last_in_person"].value == "2026-01-15"
    assert known["diagnoses"].value == ["depression"]
    assert len(again) == 1
    assert 'value="2026-01-15"' in page_of(client, path)
    assert client_for(cast.staff).get(path).status_code == 403


@given(
    some.dictionaries(
        some.sampled_from(["bp_systolic", "bp_diastolic", "bp_on", "weight", "weight_on", "last_in_person", "cardiac"]),
        some.one_of(some.text(max_size=12), some.dates().map(str), some.integers(-5, 500).map(str)),
    )
)
def test_whatever_is_typed_is_taken_or_explained(typed: dict[str, str]) -> None:
    """No input breaks the form, and nothing implausible or from the future gets through."""
    values, faults = chart_facts.read(MultiDict(typed), TODAY)
    assert set(faults) <= {*typed, "bp_on", "weight_on", "bp_systolic", "bp_diastolic"}
    if pressure := values.get("vitals.bp"):
        assert 40 <= pressure["diastolic"] < pressure["systolic"] <= 300
        assert date.fromisoformat(pressure["on"]) <= TODAY
    if seen := values.get("last_in_person"):
        assert date.fromisoformat(seen) <= TODAY


def test_help_is_open_to_everybody(cast: Cast, client_for: ClientFor) -> None:
    page = client_for(cast.patient).http.application.test_client().get("/help").get_data(as_text=True)
    assert 'href="tel:988"' in page
    assert 'href="tel:911"' in page
