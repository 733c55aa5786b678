"""The list of medicines: adding, changing, stopping, what changed since, and what the ledger is told."""

from datetime import date
from typing import Any

import pytest
from support.cast import Cast, Member

from telepsych.core.clock import DAY
from telepsych.core.errors import Conflict, Invalid, NotFound, Refused
from telepsych.core.work import Practice
from telepsych.medications import service
from telepsych.medications.models import PatientMedicine
from telepsych.patients import service as patients


def add(cast: Cast, medicine_id: str = "sertraline", **more: Any) -> PatientMedicine:
    with cast.begin(cast.clinician) as work:
        about = {"strength": "50 mg", "how": "1 tablet every morning"} | more
        return service.add_medicine(work, cast.patient.record, medicine_id=medicine_id, **about)


def active(cast: Cast) -> list[dict[str, Any]]:
    with cast.begin(cast.clinician, writes=False) as work:
        value: list[dict[str, Any]] = patients.facts_of(work, cast.patient.record)["medicine.active"].value
        return value


def test_a_medicine_is_on_the_list_with_what_the_catalogue_knows(cast: Cast) -> None:
    add(cast, reason="Low mood", prescriber="Dr. Sage Example", started_on=date(2026, 9, 1))
    with cast.begin(cast.patient, writes=False) as work:
        (line,) = service.list_of(work, cast.patient.record)
    assert (line.label, line.how, line.used_for) == (
        "sertraline 50 mg",
        "1 tablet every morning",
        "depression and anxiety",
    )
    assert active(cast) == [
        {
            "id": "sertraline",
            "name": "sertraline",
            "started_on": "2026-09-01",
            "dose_changed_on": None,
            "restarted_on": None,
            "schedule": None,
            "new": False,
        }
    ]


def test_a_medicine_may_be_named_freely(cast: Cast) -> None:
    row = add(cast, "", name="St. John's wort", strength="")
    (fact,) = active(cast)
    assert (fact["id"], fact["name"], fact["new"]) == (f"other-{row.id}", "St. John's wort", True)


def test_every_change_refreshes_the_ledger(cast: Cast, practice: Practice) -> None:
    row = add(cast, "lorazepam", strength="1 mg", started_on=date(2026, 10, 1))
    practice.clock.move(DAY)  # type: ignore[attr-defined]
    with cast.begin(cast.clinician) as work:
        service.change_medicine(work, row.id, strength="0.5 mg", why="Less is enough")
    (fact,) = active(cast)
    assert (fact["dose_changed_on"], fact["schedule"]) == ("2026-11-25", "IV")
    with cast.begin(cast.clinician) as work:
        service.stop_medicine(work, row.id)
    assert active(cast) == []
    with cast.begin(cast.clinician) as work:
        service.start_again(work, row.id)
    (fact,) = active(cast)
    assert (fact["restarted_on"], fact["new"]) == ("2026-11-25", True)


def test_changes_since_a_moment_with_what_was_before(cast: Cast, practice: Practice) -> None:
    row = add(cast, started_on=date(2026, 9, 1))
    other = add(cast, "trazodone", started_on=date(2026, 9, 2))
    last_visit = practice.clock.now()
    practice.clock.move(7 * DAY)  # type: ignore[attr-defined]
    with cast.begin(cast.clinician) as work:
        service.change_medicine(work, row.id, strength="100 mg")
    practice.clock.move(DAY)  # type: ignore[attr-defined]
    with cast.begin(cast.clinician) as work:
        service.stop_medicine(work, other.id, why="Too sleepy")
    with cast.begin(cast.clinician, writes=False) as work:
        stopped, changed = service.changes_since(work, cast.patient.record, last_visit)
    assert (stopped.kind, stopped.label, stopped.why) == ("stopped", "trazodone 50 mg", "Too sleepy")
    assert (changed.before, changed.after) == (
        "50 mg, 1 tablet every morning",
        "100 mg, 1 tablet every morning",
    )
    assert changed.words.startswith("sertraline was changed from 50 mg")


def test_days_left_count_down(cast: Cast, practice: Practice) -> None:
    add(cast)
    with cast.begin(cast.patient) as work:
        patients.record_facts(
            work, cast.patient.record, {"medicine.days_left": {"sertraline": 5}}, source="medication-check-in"
        )
        work.audited = True
    practice.clock.move(3 * DAY)  # type: ignore[attr-defined]
    with cast.begin(cast.patient, writes=False) as work:
        assert [line.days_left for line in service.list_of(work, cast.patient.record)] == [2]
    practice.clock.move(10 * DAY)  # type: ignore[attr-defined]
    with cast.begin(cast.patient, writes=False) as work:
        assert [line.days_left for line in service.list_of(work, cast.patient.record)] == [0]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"medicine_id": "moonstone"}, "medicine_id"),
        ({"medicine_id": "", "name": "  "}, "name"),
        ({"medicine_id": "lithium", "started_on": date(2026, 11, 25)}, "started_on"),
    ],
)
def test_what_cannot_be_on_a_list(cast: Cast, more: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as fault, cast.begin(cast.clinician) as work:
        service.add_medicine(work, cast.patient.record, **more)
    assert set(fault.value.fields) == {field}


def test_what_was_stopped_is_started_again_before_it_is_changed(cast: Cast) -> None:
    row = add(cast)
    with cast.begin(cast.clinician) as work:
        service.stop_medicine(work, row.id)
    with pytest.raises(Conflict), cast.begin(cast.clinician) as work:
        service.change_medicine(work, row.id, strength="25 mg")
    with cast.begin(cast.patient, writes=False) as work:
        assert service.list_of(work, cast.patient.record) == []
        assert len(service.list_of(work, cast.patient.record, stopped=True)) == 1


@pytest.mark.parametrize("name", ["patient", "guardian", "staff", "manager"])
def test_only_a_clinician_changes_the_list(cast: Cast, name: str) -> None:
    row, who = add(cast), getattr(cast, name)
    with pytest.raises(Refused), cast.begin(who) as work:
        service.add_medicine(work, cast.patient.record, name="lithium")
    with pytest.raises(Refused), cast.begin(who) as work:
        service.stop_medicine(work, row.id)


@pytest.mark.parametrize("name", ["other_patient", "adolescent", "guardian", "stranger"])
def test_others_do_not_see_that_there_is_a_list(cast: Cast, name: str) -> None:
    row = add(cast)
    who: Member = getattr(cast, name)
    with cast.begin(who, writes=False) as work:
        assert service.list_of(work, cast.patient.record) == []
    if name == "stranger":
        with pytest.raises(NotFound), cast.begin(who) as work:
            service.change_medicine(work, row.id, strength="1 mg")
        with pytest.raises(NotFound), cast.begin(who) as work:
            service.add_medicine(work, cast.patient.record, name="lithium")
