"""The checklist as its clinician meets it: words first, nothing pre-ticked, what was typed kept, closed to others."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from support.cast import Cast, Client, Member

from telepsych.appropriateness import service
from telepsych.appropriateness.commands import evaluate
from telepsych.appropriateness.content import Moment
from telepsych.appropriateness.panel import source_words
from telepsych.appropriateness.snapshots import DERIVED
from telepsych.core.ids import new_id
from telepsych.patients import service as patients

FRAGMENT = {"X-Fragment": "1"}
Browsers = Callable[[Member], Client]


@pytest.fixture
def visit_id(cast: Cast) -> UUID:
    """A visit of a patient who asked to be seen in person, on lithium without a level on record."""
    visit = new_id()
    with cast.system() as work:
        service.open_checklist(work, visit, cast.patient.record, cast.clinician.person_id)
        lithium = {"id": "lithium", "name": "lithium", "started_on": "2024-01-10", "new": False}
        facts = {"medicine.active": [lithium], "patient.wants_in_person": True, "phq9.item9": 0}
        patients.record_facts(work, cast.patient.record, facts, source="test")
        service.evaluate(work, cast.patient.record, Moment.IN_VISIT, visit)
    return visit


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_outcome_is_said_in_words_with_reasons_data_and_sources(
    cast: Cast, client_for: Browsers, visit_id: UUID
) -> None:
    html = client_for(cast.clinician).get(f"/visits/{visit_id}/checklist").get_data(as_text=True)
    words = text_of(html)
    assert "In-person evaluation within 14 days recommended: several reasons:" in words
    assert "patient asks for in person" in words
    assert "NHS Specialist Pharmacy Service, Lithium monitoring" in words
    assert "lithium since Jan 10, 2024" in words
    assert "Nothing is decided yet." in words
    assert "Lithium level: not on record" in words
    assert "Juniper" not in html.split("</title>")[0]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("check-in:0193a2b4", "Check-in"),
        ("visit:0193a2b4", "Visit"),
        ("questionnaire:phq9", "Questionnaire PHQ-9"),
        ("questionnaire:gone", "Questionnaire"),
        ("chart", "Chart"),
        ("observed in the visit", "Clinician in the visit"),
        (DERIVED, "This practice's own record"),
        ("import:0193a2b4", "Another source"),
        ("", ""),
    ],
)
def test_a_source_is_said_in_words(source: str, words: str) -> None:
    assert source_words(source) == words


def test_every_source_that_is_written_has_words() -> None:
    rooms = Path(service.__file__).parents[1]
    texts = [place.read_text(encoding="utf-8") for place in rooms.glob("*/*.py")]
    written = {
        name
        for text in texts
        if "record_facts(" in text or "service.record(" in text
        for name in re.findall(r'\bsource ?= ?f?"([a-z][a-z -]*)', text)
    }
    assert {"chart", "check-in", "questionnaire", "visit"} <= written
    assert [name for name in sorted(written) if source_words(name) == "Another source"] == []


def test_the_page_names_sources_in_words_and_shows_no_id(cast: Cast, client_for: Browsers, visit_id: UUID) -> None:
    with cast.system() as work:
        source = f"check-in:{visit_id}"
        patients.record_facts(work, cast.patient.record, {"patient.wants_in_person": True}, source=source)
        patients.record_facts(work, cast.patient.record, {"phq9.item9": 2}, source="questionnaire:phq9")
        service.evaluate(work, cast.patient.record, Moment.IN_VISIT, visit_id)
    words = text_of(client_for(cast.clinician).get(f"/visits/{visit_id}/checklist").get_data(as_text=True))
    assert " · Check-in" in words
    assert " · Questionnaire PHQ-9" in words
    assert str(visit_id) not in words


def test_the_fragment_is_the_panel_alone(cast: Cast, client_for: Browsers, visit_id: UUID) -> None:
    html = client_for(cast.clinician).get(f"/visits/{visit_id}/checklist", headers=FRAGMENT).get_data(as_text=True)
    assert "<html" not in html
    assert 'class="outcome outcome--warn"' in html


def test_no_observation_and_no_decision_is_chosen_beforehand(cast: Cast, client_for: Browsers, visit_id: UUID) -> None:
    html = client_for(cast.clinician).get(f"/visits/{visit_id}/checklist", headers=FRAGMENT).get_data(as_text=True)
    assert "observed_intent_or_plan" in html
    assert " checked" not in html


def test_observing_deciding_and_ticking_work_without_scripts(cast: Cast, client_for: Browsers, visit_id: UUID) -> None:
    clinician, place = client_for(cast.clinician), f"/visits/{visit_id}/checklist"
    sent = {
        "observed_psychosis_danger": "yes",
        "observed_mania": "no",
        "observed_confusion": "",
        "observed_aims_highest": "1",
    }
    assert clinician.post(f"{place}/observations", sent).status_code == 303
    html = clinician.get(place).get_data(as_text=True)
    assert "In-person evaluation today recommended: acute psychosis" in text_of(html)
    assert re.search(r'name="observed_mania" value="no" checked', html)
    assert clinician.post(f"{place}/tasks", {"task": "M01:0"}).status_code == 303
    assert re.search(r'value="M01:0" checked', clinician.get(place).get_data(as_text=True))
    assert clinician.post(f"{place}/decision", {"level": "L3"}).status_code == 303
    words = text_of(clinician.get(place).get_data(as_text=True))
    assert "Move to in person: in-person evaluation today." in words
    assert "Dr. Sage Example, " in words


def test_what_was_typed_stays_when_something_is_missing(cast: Cast, client_for: Browsers, visit_id: UUID) -> None:
    typed = {"level": "L1", "reason_code": "declined", "reason": "Prefers to wait", "offered": "Friday at ten"}
    answer = client_for(cast.clinician).post(f"/visits/{visit_id}/checklist/decision", typed)
    html = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "Prefers to wait" in html
    assert "Friday at ten" in html
    assert "Name the next contact, within 7 days." in html
    assert re.search(r'name="level" value="L1" checked', html)


def test_a_decision_without_a_level_says_so(cast: Cast, client_for: Browsers, visit_id: UUID) -> None:
    answer = client_for(cast.clinician).post(f"/visits/{visit_id}/checklist/decision", {"days": "soon"})
    assert answer.status_code == 422
    assert "Please choose what you decide." in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("who", "status"),
    [("patient", 403), ("guardian", 403), ("staff", 403), ("manager", 403), ("stranger", 404), ("clinician", 200)],
)
def test_only_clinicians_of_the_patient_s_team_open_it(
    cast: Cast, client_for: Browsers, visit_id: UUID, who: str, status: int
) -> None:
    assert client_for(getattr(cast, who)).get(f"/visits/{visit_id}/checklist").status_code == status


def test_a_visit_that_is_not_there_is_not_found(cast: Cast, client_for: Browsers) -> None:
    clinician = client_for(cast.clinician)
    assert clinician.get(f"/visits/{new_id()}/checklist").status_code == 404
    assert clinician.get("/visits/nothing/checklist").status_code == 404


def run(tmp_path: Path, facts: dict[str, Any], *options: str) -> Any:
    place = tmp_path / "facts.json"
    place.write_text(json.dumps(facts))
    return CliRunner().invoke(evaluate, [str(place), *options])


def test_the_command_answers_programs(tmp_path: Path) -> None:
    rash = {"lamotrigine": {"id": "lamotrigine", "name": "lamotrigine", "started_on": "2026-11-04"}}
    facts = {"medicine.active": [rash["lamotrigine"]], "symptom.rash": {"present": True}}
    answer = json.loads(run(tmp_path, {"now": "2026-11-24", "when": "form", "facts": facts}, "--json").output)
    assert answer["level"] == "L3"
    assert answer["fired"][0]["rule"] == "X05"
    assert answer["rules"]["X05"] == "1.0"


def test_the_command_answers_people_and_names_what_it_cannot_read(tmp_path: Path) -> None:
    facts = {"phq9.item9": [{"value": 0, "as_of": "2026-11-24"}, {"value": 2, "as_of": "2026-11-23"}]}
    words = run(tmp_path, {"now": "2026-11-24T13:00", "facts": facts}).output
    assert words.startswith("L3: In-person evaluation today\n  S03 L3")
    assert "unknown: S01" in words
    assert "no.such: no such fact" in run(tmp_path, {"no.such": 1}).output
