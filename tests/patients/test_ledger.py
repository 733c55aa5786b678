"""The facts ledger: newest of each code, compartments, who may write, and what it wakes."""

from typing import Any

import pytest
from sqlalchemy import event
from support.cast import Cast

from telepsych.core.actor import Compartment
from telepsych.core.clock import DAY
from telepsych.core.errors import NotFound, Refused
from telepsych.core.work import Work
from telepsych.crypto.vault import Vault
from telepsych.patients import service as patients


def test_the_newest_of_each_code_counts_by_when_it_was_true(cast: Cast) -> None:
    record = cast.patient.record
    with cast.begin(cast.clinician) as work:
        patients.record_facts(work, record, {"vitals.pulse": 80, "aims.on": "2026-11-01"}, source="chart")
        patients.record_facts(work, record, {"vitals.pulse": 60}, source="chart", as_of=work.now - DAY)
    with cast.begin(cast.patient, writes=False) as work:
        known = patients.facts_of(work, record)
        assert {code: fact.value for code, fact in known.items()} == {"vitals.pulse": 80, "aims.on": "2026-11-01"}
        assert known["vitals.pulse"].recorded_by == cast.clinician.person_id
        assert [fact.value for fact in patients.fact_history(work, record, "vitals.pulse")] == [80, 60]
        assert patients.fact_history(work, record, "never.recorded") == []


def test_only_the_newest_are_opened(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    record, opened = cast.patient.record, []
    with cast.begin(cast.clinician) as work:
        for value in range(5):
            patients.record_facts(work, record, {"a": value, "b": value}, source="chart", as_of=work.now + value)
    true_open = Vault.open

    def counting(self: Vault, scope: Any, table: str, *rest: Any) -> bytes:
        opened.append(table)
        return true_open(self, scope, table, *rest)

    monkeypatch.setattr(Vault, "open", counting)
    with cast.begin(cast.clinician, writes=False) as work:
        assert {code: fact.value for code, fact in patients.facts_of(work, record).items()} == {"a": 4, "b": 4}
    assert opened.count("fact") == 2


def test_a_guardian_sees_nothing_told_in_confidence(cast: Cast) -> None:
    record = cast.adolescent.record
    with cast.begin(cast.adolescent) as work:
        confidential = Compartment.CONFIDENTIAL
        patients.record_facts(work, record, {"phq9.item9": 1}, source="phq9", compartment=confidential)
        patients.record_facts(work, record, {"visit.state": "CT"}, source="check-in")
    with cast.begin(cast.guardian, writes=False) as work:
        assert set(patients.facts_of(work, record)) == {"visit.state"}
        assert patients.fact_history(work, record, "phq9.item9") == []
    with cast.begin(cast.clinician, writes=False) as work:
        assert set(patients.facts_of(work, record)) == {"visit.state", "phq9.item9"}


def test_only_who_opens_a_compartment_writes_into_it(cast: Cast) -> None:
    """A clinician of another team, another patient, and a guardian in the private part."""
    with pytest.raises(NotFound), cast.begin(cast.stranger) as work:
        patients.record_facts(work, cast.patient.record, {"a": 1}, source="chart")
    with pytest.raises(Refused), cast.begin(cast.other_patient) as work:
        patients.record_facts(work, cast.patient.record, {"a": 1}, source="chart")
    place = Compartment.CONFIDENTIAL
    with pytest.raises(NotFound), cast.begin(cast.guardian) as work:
        patients.record_facts(work, cast.adolescent.record, {"a": 1}, source="form", compartment=place)


def test_recording_wakes_higher_rooms_in_the_same_unit(cast: Cast) -> None:
    heard: list[dict[str, Any]] = []

    def listen(_work: Work, **facts: Any) -> None:
        heard.append(facts)

    cast.practice.subscribe("facts.recorded", listen)
    with cast.begin(cast.clinician) as work:
        patients.record_facts(work, cast.patient.record, {"b": 2, "a": 1}, source="chart")
    assert [(one["patient_id"], one["codes"], one["values"]) for one in heard] == [
        (cast.patient.record, ["a", "b"], {"b": 2, "a": 1})
    ]


def test_codes_and_values_are_not_in_the_database_in_clear(cast: Cast) -> None:
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, _statement: str, parameters: Any, *_: Any) -> None:
        seen.append(repr(parameters))

    event.listen(cast.practice.records, "before_cursor_execute", note)
    try:
        with cast.begin(cast.clinician) as work:
            patients.record_facts(work, cast.patient.record, {"canary.code": "canary value"}, source="canary source")
    finally:
        event.remove(cast.practice.records, "before_cursor_execute", note)
    assert seen
    assert not [one for one in seen if "canary" in one]
