"""Evaluations are kept as made, only clinicians see and decide, and an in-person decision becomes somebody's work."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from support.cast import Cast

from telepsych.appropriateness import service
from telepsych.appropriateness.content import Level, Moment
from telepsych.appropriateness.decisions import Reason
from telepsych.appropriateness.models import EvaluationSnapshot
from telepsych.appropriateness.panel import outcome_of
from telepsych.core.actor import Compartment
from telepsych.core.clock import DAY, HOUR, from_micros
from telepsych.core.errors import Conflict, Invalid, NotFound, Refused
from telepsych.core.ids import new_id
from telepsych.patients import service as patients
from telepsych.triage import service as triage

LATER = {"reason": "Seen together, safe at home", "reason_code": Reason.LOWER_RISK}
DONE = {"action_taken": "Called the mobile crisis team", "person_contacted": "Her sister", "contacted_at": "10:20"}


@pytest.fixture
def visit_id(cast: Cast) -> UUID:
    """A visit this afternoon, with its checklist opened by the practice."""
    visit = new_id()
    with cast.system() as work:
        service.open_checklist(
            work, visit, cast.patient.record, cast.clinician.person_id, cast.practice.clock.now() + 3 * HOUR
        )
    return visit


def know(cast: Cast, facts: dict[str, Any], **more: Any) -> None:
    with cast.begin(cast.clinician) as work:
        patients.record_facts(work, cast.patient.record, facts, source="test", **more)


def ask(cast: Cast, visit_id: UUID, when: Moment = Moment.IN_VISIT) -> service.Snapshot:
    with cast.system() as work:
        return service.evaluate(work, cast.patient.record, when, visit_id)


def look(cast: Cast, visit_id: UUID) -> service.Snapshot:
    with cast.begin(cast.clinician, writes=False) as work:
        found = service.latest(work, visit_id)
    assert found is not None
    return found


def decide(cast: Cast, visit_id: UUID, level: Level, **more: Any) -> UUID:
    with cast.begin(cast.clinician) as work:
        return service.decide(work, visit_id, cast.patient.record, level, **more).id


def faults(cast: Cast, visit_id: UUID, level: Level, **more: Any) -> set[str]:
    with pytest.raises(Invalid) as refused:
        decide(cast, visit_id, level, **more)
    return set(refused.value.fields)


def count(cast: Cast) -> int:
    with cast.practice.begin(cast.clinician.actor(), writes=False, public="test") as work:
        return work.session.scalar(select(func.count()).select_from(EvaluationSnapshot)) or 0


def in_person_items(cast: Cast, visit_id: UUID) -> list[Any]:
    with cast.begin(cast.clinician, writes=False) as work:
        work.asked = True
        return [item for item in triage.items_about(work, ("in-person", visit_id)) if item.resolved_at is None]


def test_an_evaluation_keeps_versions_inputs_and_result_and_reads_the_same_again(cast: Cast, visit_id: UUID) -> None:
    know(cast, {"phq9.item9": 1})
    made = ask(cast, visit_id)
    assert look(cast, visit_id) == made
    assert "S04" in [line.rule for line in made.fired]
    with cast.begin(cast.clinician, writes=False) as work:
        work.asked = True
        row = work.session.get_one(EvaluationSnapshot, made.id)
        assert row.result["rules"]["S04"] == "1.0"
        assert row.result["inputs"]["phq9.item9"]["value"] == 1
        assert row.result["law"]["rx.fed.tele_flex"] == "av_ok_without_in_person"


def test_the_same_question_with_the_same_answer_is_not_written_again_and_nothing_is_overwritten(
    cast: Cast, visit_id: UUID
) -> None:
    first = ask(cast, visit_id)
    assert ask(cast, visit_id).id == first.id
    before = count(cast)
    know(cast, {"phq9.item9": 1})
    second = look(cast, visit_id)
    assert second.id != first.id
    assert count(cast) == before + 1
    with cast.begin(cast.clinician, writes=False) as work:
        assert first in service.history(work, visit_id)


def test_a_new_fact_is_judged_at_once(cast: Cast, visit_id: UUID) -> None:
    know(cast, {"patient.wants_in_person": True})
    assert (look(cast, visit_id).level, look(cast, visit_id).when) == (Level.L2, Moment.FORM)


def test_an_answer_taken_back_keeps_both_values(cast: Cast, visit_id: UUID) -> None:
    know(cast, {"phq9.item9": 2})
    cast.practice.clock.move(60_000_000)  # type: ignore[attr-defined]
    know(cast, {"phq9.item9": 0})
    line = next(line for line in look(cast, visit_id).fired if line.rule == "S03")
    assert (line.data[0]["value"], line.data[0]["also"]) == (2, [0])


def test_a_patient_s_act_asks_the_rules_and_gets_no_level_to_show(cast: Cast, visit_id: UUID) -> None:
    with cast.begin(cast.patient) as work:
        snapshot = service.evaluate(work, cast.patient.record, Moment.FORM, visit_id)
    assert not any("L1" in words or "level" in words for words in snapshot.for_patient())
    for act in (service.latest, service.observations_of, service.ticks):
        with pytest.raises(Refused), cast.begin(cast.patient) as work:
            act(work, visit_id)


def test_what_is_quiet_never_reaches_the_patient(cast: Cast, visit_id: UUID) -> None:
    with cast.begin(cast.clinician) as work:
        snapshot = service.observe(work, visit_id, cast.patient.record, "coercion", True)
    assert next(line for line in snapshot.fired if line.rule == "S10").quiet
    before = ask(cast, visit_id)
    assert not any("safe to talk" in words or "abuse" in words.lower() for words in before.for_patient())


def test_facts_of_a_private_compartment_count_and_seal_the_result_there(cast: Cast, visit_id: UUID) -> None:
    know(cast, {"phq9.item9": 2}, compartment=Compartment.CONFIDENTIAL)
    made = look(cast, visit_id)
    assert "S03" in [line.rule for line in made.fired]
    with cast.begin(cast.clinician, writes=False) as work:
        work.asked = True
        assert work.session.get_one(EvaluationSnapshot, made.id).compartment is Compartment.CONFIDENTIAL


def test_the_practice_s_own_records_are_facts(cast: Cast, visit_id: UUID) -> None:
    assert "P03" in [line.rule for line in ask(cast, visit_id).fired]
    with cast.begin(cast.staff) as work:
        patients.set_emergency_contact(
            work, cast.patient.record, name="Robin Example", relationship="sister", phone="(203) 555-0177"
        )
    assert "P03" not in [line.rule for line in ask(cast, visit_id).fired]


def test_a_state_without_a_licence_refuses_admission_in_words_for_the_patient(cast: Cast, visit_id: UUID) -> None:
    know(cast, {"visit.state": "NY"})
    assert ask(cast, visit_id, Moment.ARRIVAL).refuses_admission
    with cast.begin(cast.clinician, writes=False) as work:
        assert "988" in service.admission_blocks(work, visit_id)[0]
    with cast.begin(cast.patient, writes=False) as work, pytest.raises(NotFound):
        service.admission_blocks(work, visit_id)
    know(cast, {"visit.state": "CT"})
    with cast.begin(cast.clinician, writes=False) as work:
        assert service.admission_blocks(work, visit_id) == ()


def test_an_observation_raises_the_level_and_may_be_taken_back(cast: Cast, visit_id: UUID) -> None:
    with cast.begin(cast.clinician) as work:
        assert service.observe(work, visit_id, cast.patient.record, "catatonia_signs", 2).level is Level.L3
    with cast.begin(cast.clinician) as work:
        assert service.observations_of(work, visit_id) == {"catatonia_signs": 2}
        service.observe(work, visit_id, cast.patient.record, "catatonia_signs", None)
        assert service.observations_of(work, visit_id) == {}


@pytest.mark.parametrize(("code", "value"), [("catatonia_signs", 12), ("mania", 1), ("nothing", True)])
def test_an_observation_that_is_none_is_refused(cast: Cast, visit_id: UUID, code: str, value: Any) -> None:
    with pytest.raises(Invalid), cast.begin(cast.clinician) as work:
        service.observe(work, visit_id, cast.patient.record, code, value)


def test_an_accepted_recommendation_is_the_clinician_s_work_until_done(cast: Cast, visit_id: UUID) -> None:
    know(cast, {"patient.wants_in_person": True})
    decide(cast, visit_id, Level.L2)
    (item,) = in_person_items(cast, visit_id)
    assert item.owner_id == cast.clinician.person_id
    assert from_micros(item.due_at, cast.practice.settings.tz).isoformat().startswith("2026-12-08T23:59:59")
    with cast.begin(cast.clinician, writes=False) as work:
        (one,) = service.recommendations(work, cast.patient.record)
    assert (one.level, one.days, one.decided) == (Level.L2, 14, "L2")


def test_the_same_day_means_today_where_the_practice_is(cast: Cast, visit_id: UUID) -> None:
    with cast.begin(cast.clinician) as work:
        service.observe(work, visit_id, cast.patient.record, "psychosis_danger", True)
    decide(cast, visit_id, Level.L3)
    (item,) = in_person_items(cast, visit_id)
    assert from_micros(item.due_at, cast.practice.settings.tz).isoformat().startswith("2026-11-24T23:59:59")


def test_lowering_l3_says_why_what_was_done_who_and_when(cast: Cast, visit_id: UUID) -> None:
    with cast.begin(cast.clinician) as work:
        service.observe(work, visit_id, cast.patient.record, "intent_or_plan", True)
    assert look(cast, visit_id).level is Level.L3
    assert faults(cast, visit_id, Level.L1) == {
        "reason_code", "reason", "action_taken", "person_contacted", "contacted_at",
    }  # fmt: skip
    assert faults(cast, visit_id, Level.L1, **LATER) == {"action_taken", "person_contacted", "contacted_at"}
    decide(cast, visit_id, Level.L1, **LATER, **DONE)
    with cast.begin(cast.clinician, writes=False) as work:
        (row,) = service.decisions(work, visit_id)
    assert (row.level, row.recommended, row.reason_code) == ("L1", "L3", "assessed-lower")
    assert row.details == DONE
    assert look(cast, visit_id).level is Level.L3


def test_declining_says_what_was_offered_and_when_to_speak_again(cast: Cast, visit_id: UUID) -> None:
    know(cast, {"patient.wants_in_person": True})
    why = {"reason_code": Reason.DECLINED, "reason": "Prefers to wait"}
    assert faults(cast, visit_id, Level.L1, **why) == {"offered", "risks_explained", "alternative", "next_contact"}
    told = {"offered": "A visit on Friday", "risks_explained": "Missed exam", "alternative": "Video in a week"}
    assert faults(cast, visit_id, Level.L1, **why, **told, next_contact="2026-12-02") == {"next_contact"}
    decide(cast, visit_id, Level.L2)
    assert in_person_items(cast, visit_id)
    decide(cast, visit_id, Level.L1, **why, **told, next_contact="2026-12-01")
    assert in_person_items(cast, visit_id) == []


def test_the_clinician_picks_the_level_when_only_they_are_worried(cast: Cast, visit_id: UUID) -> None:
    with cast.begin(cast.clinician) as work:
        snapshot = service.observe(work, visit_id, cast.patient.record, "concern", True)
    assert "S05" in [line.rule for line in snapshot.fired]
    assert faults(cast, visit_id, Level.L3) == {"reason"}
    decide(cast, visit_id, Level.L3, reason="Flat, gave away his dog")
    with cast.begin(cast.clinician, writes=False) as work:
        (row,) = service.decisions(work, visit_id)
    assert (row.level, row.reason_code) == ("L3", "raised")


def test_a_longer_time_than_recommended_is_refused(cast: Cast, visit_id: UUID) -> None:
    know(cast, {"patient.wants_in_person": True})
    assert faults(cast, visit_id, Level.L2, days=30) == {"days"}
    decide(cast, visit_id, Level.L2, days=7)


def test_nobody_accepts_what_they_did_not_see(cast: Cast, visit_id: UUID) -> None:
    seen = ask(cast, visit_id)
    with cast.begin(cast.clinician) as work:
        service.observe(work, visit_id, cast.patient.record, "psychosis_danger", True)
    with pytest.raises(Conflict):
        decide(cast, visit_id, seen.level, seen=seen.id, **LATER, **DONE)


def test_ticks_are_kept_and_taken_back(cast: Cast, visit_id: UUID) -> None:
    know(cast, {"phq9.item9": 1})
    key = next(task.key for task in ask(cast, visit_id).tasks if task.rule == "S04")
    for done in (True, False):
        with cast.begin(cast.clinician) as work:
            service.tick(work, visit_id, {key: done})
        with cast.begin(cast.clinician, writes=False) as work:
            assert (key in service.ticks(work, visit_id)) is done


ACTS: dict[str, Any] = {
    "evaluate": lambda work, patient, visit: service.evaluate(work, patient, Moment.FORM, visit),
    "open": lambda work, patient, visit: service.open_checklist(work, visit, patient, new_id()),
    "see": lambda work, patient, visit: service.latest(work, visit),
    "observe": lambda work, patient, visit: service.observe(work, visit, patient, "mania", True),
    "decide": lambda work, patient, visit: service.decide(
        work, visit, patient, Level.L4, reason="because", action_taken="x"
    ),
    "recommendations": lambda work, patient, visit: service.recommendations(work, patient),
    "tick": lambda work, patient, visit: service.tick(work, visit, {"S04:0": True}),
}
MAY = {
    "patient": {"evaluate"},
    "other_patient": set[str](),
    "adolescent": set[str](),
    "guardian": set[str](),
    "clinician": set(ACTS),
    "staff": {"evaluate", "open"},
    "manager": {"evaluate", "open"},
    "stranger": {"recommendations"},
}


def test_every_role_by_every_act(cast: Cast, visit_id: UUID) -> None:
    ask(cast, visit_id)
    found = {who: {act for act in ACTS if _may(cast, who, act, visit_id)} for who in MAY}
    assert found == MAY


def test_a_stranger_s_list_is_empty(cast: Cast, visit_id: UUID) -> None:
    know(cast, {"patient.wants_in_person": True})
    with cast.begin(cast.stranger, writes=False) as work:
        assert service.recommendations(work, cast.patient.record) == []


def _may(cast: Cast, who: str, act: str, visit_id: UUID) -> bool:
    try:
        with cast.begin(getattr(cast, who)) as work:
            ACTS[act](work, cast.patient.record, visit_id)
    except (Refused, NotFound):
        return False
    return True


def test_old_visits_are_left_alone(cast: Cast, visit_id: UUID) -> None:
    before = count(cast)
    cast.practice.clock.move(2 * DAY)  # type: ignore[attr-defined]
    know(cast, {"patient.wants_in_person": True})
    assert count(cast) == before


def test_the_outcome_line_never_names_a_quiet_reason(cast: Cast, visit_id: UUID) -> None:
    with cast.begin(cast.clinician) as work:
        seen = {"coercion": True, "danger_now": True}
        snapshot = service.observe_all(work, visit_id, cast.patient.record, seen)
    assert snapshot.level is Level.L4
    assert outcome_of(snapshot) == "Emergency help now recommended: see the quiet item below"
