"""Giving questionnaires, saving answers, safety answers, and what the brief reads."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from support.cast import Cast, Member

from telepsych.core.actor import Compartment
from telepsych.core.clock import DAY, MINUTE
from telepsych.core.errors import Invalid, NotFound, Refused
from telepsych.core.ids import new_id
from telepsych.core.work import Practice, Work
from telepsych.patients import service as patients
from telepsych.patients.models import Fact
from telepsych.questionnaires import service
from telepsych.questionnaires.models import Response, ResponseState
from telepsych.triage import service as triage
from telepsych.triage.models import ItemKind, WorkItem
from telepsych.triage.priority import Priority

NINE = ["anhedonia", "low_mood", "sleep", "energy", "appetite", "self_worth", "concentration", "psychomotor"]
OPTIONS = ["not_at_all", "several_days", "more_than_half", "nearly_every_day"]


def give(cast: Cast, who: Member, instrument: str = "phq9", visit: UUID | None = None) -> UUID:
    with cast.begin(cast.staff) as work:
        return service.assign(work, who.record, instrument, visit).id


def answer(cast: Cast, who: Member, response: UUID, item: str, value: Any) -> service.Saved:
    with cast.begin(who) as work:
        return service.save_answer(work, response, item, value)


def fill(cast: Cast, who: Member, response: UUID, each: int, harm: int = 0) -> None:
    for item in NINE:
        answer(cast, who, response, item, OPTIONS[each])
    answer(cast, who, response, "self_harm", OPTIONS[harm])
    if each or harm:
        answer(cast, who, response, "function", "somewhat")
    with cast.begin(who) as work:
        service.complete(work, response)


def read(cast: Cast, who: Member, response: UUID) -> Response:
    with cast.begin(who, writes=False) as work:
        row = service.open_response(work, response)
        assert row.answers is not None
        return row


def items(cast: Cast) -> list[WorkItem]:
    with cast.begin(cast.clinician, writes=False) as work:
        return triage.open_items(work)


def facts(cast: Cast, who: Member) -> dict[str, Any]:
    with cast.begin(cast.clinician, writes=False) as work:
        return {code: fact.value for code, fact in patients.facts_of(work, who.record).items()}


def test_answers_are_kept_one_by_one_and_found_again_elsewhere(cast: Cast) -> None:
    response = give(cast, cast.patient)
    assert read(cast, cast.patient, response).state is ResponseState.ASSIGNED
    answer(cast, cast.patient, response, "anhedonia", "several_days")
    saved = answer(cast, cast.patient, response, "low_mood", "declined")
    assert not saved.safety
    row = read(cast, cast.patient, response)
    assert row.state is ResponseState.STARTED
    assert row.answers == {
        "anhedonia": {"state": "answered", "option": "several_days"},
        "low_mood": {"state": "declined"},
    }
    item = service.open_item(row)
    assert item is not None
    assert item.id == "sleep"


def test_saving_the_same_answer_again_changes_nothing(cast: Cast) -> None:
    response = give(cast, cast.patient)
    for _ in range(3):
        answer(cast, cast.patient, response, "self_harm", "several_days")
    row = read(cast, cast.patient, response)
    assert len(row.history) == 1
    assert len(items(cast)) == 1


def test_item_9_raises_an_urgent_item_and_asks_for_the_safety_page(cast: Cast) -> None:
    response = give(cast, cast.patient)
    saved = answer(cast, cast.patient, response, "self_harm", "several_days")
    assert saved.safety
    (item,) = items(cast)
    assert (item.kind, item.priority) == (ItemKind.SAFETY_ANSWER, Priority.URGENT)
    assert (item.patient_id, item.about_id) == (cast.patient.record, response)
    assert item.read_by is not None
    assert facts(cast, cast.patient)["phq9.item9"] == 1


def test_a_form_left_after_a_safety_answer_still_counts(cast: Cast) -> None:
    response = give(cast, cast.patient)
    answer(cast, cast.patient, response, "self_harm", "nearly_every_day")
    with cast.begin(cast.clinician, writes=False) as work:
        (line,) = service.latest(work, cast.patient.record)
    assert not line.completed
    assert line.total is None
    assert (line.answered, line.asked) == (1, 10)
    assert [flag.now.ordinal for flag in line.flags] == [3]


@pytest.mark.parametrize("fails", ["raise_item", "record_facts"])
def test_an_answer_is_not_taken_when_what_follows_from_it_fails(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    response = give(cast, cast.patient)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(triage if fails == "raise_item" else patients, fails, broken)
    with pytest.raises(RuntimeError):
        answer(cast, cast.patient, response, "self_harm", "several_days")
    monkeypatch.undo()
    row = read(cast, cast.patient, response)
    assert (row.answers, row.history, row.state) == ({}, [], ResponseState.ASSIGNED)
    assert items(cast) == []
    assert "phq9.item9" not in facts(cast, cast.patient)
    assert answer(cast, cast.patient, response, "self_harm", "several_days").safety
    assert len(items(cast)) == 1


def test_item_9_taken_back_before_sending_keeps_the_flag_with_both_values(cast: Cast, practice: Practice) -> None:
    response = give(cast, cast.patient)
    answer(cast, cast.patient, response, "self_harm", "more_than_half")
    practice.clock.move(2 * MINUTE)  # type: ignore[attr-defined]
    answer(cast, cast.patient, response, "self_harm", "not_at_all")
    with cast.begin(cast.clinician, writes=False) as work:
        (line,) = service.latest(work, cast.patient.record)
    (flag,) = line.flags
    assert [one.ordinal for one in flag.values] == [2, 0]
    assert flag.values[1].at - flag.values[0].at == 2 * MINUTE
    (item,) = items(cast)
    assert item.priority is Priority.URGENT
    assert any("both are kept" in why for why in item.why)
    assert facts(cast, cast.patient)["phq9.item9"] == 2


def test_a_graver_answer_is_added_to_the_same_item(cast: Cast) -> None:
    response = give(cast, cast.adolescent, "asq")
    answer(cast, cast.adolescent, response, "wished_dead", "yes")
    assert answer(cast, cast.adolescent, response, "now", "yes").safety
    (item,) = items(cast)
    assert item.priority is Priority.EMERGENCY
    assert len(item.why) == 2


def test_a_young_person_who_declines_the_screen_is_looked_after_and_an_adult_is_not_alarmed_about(cast: Cast) -> None:
    young, adult = give(cast, cast.adolescent, "asq"), give(cast, cast.patient, "asq")
    assert not answer(cast, cast.patient, adult, "thoughts", "declined").safety
    assert answer(cast, cast.adolescent, young, "thoughts", "declined").safety
    (item,) = items(cast)
    assert item.patient_id == cast.adolescent.record
    assert facts(cast, cast.adolescent)["asq.declined"] is True


def test_the_safety_page_is_asked_for_until_it_was_seen_and_again_when_it_gets_worse(cast: Cast) -> None:
    response = give(cast, cast.adolescent, "asq")
    assert answer(cast, cast.adolescent, response, "wished_dead", "yes").safety
    assert answer(cast, cast.adolescent, response, "better_off", "no").safety
    with cast.begin(cast.adolescent) as work:
        service.leave_safety_page(work, response, says_safe=True)
    assert not answer(cast, cast.adolescent, response, "thoughts", "yes").safety
    assert answer(cast, cast.adolescent, response, "now", "yes").safety
    with cast.begin(cast.adolescent, writes=False) as work:
        page = service.safety(work, response)
    assert page.minor
    assert page.said_safe_at is not None
    assert page.priority is Priority.EMERGENCY
    assert page.reply_by is not None
    assert "safety.said_safe_at" in facts(cast, cast.adolescent)


def test_there_is_no_safety_page_without_a_safety_answer(cast: Cast) -> None:
    response = give(cast, cast.patient)
    with pytest.raises(NotFound), cast.begin(cast.patient, writes=False) as work:
        service.safety(work, response)


def test_a_total_its_band_and_its_change_since_last_time(cast: Cast, practice: Practice) -> None:
    fill(cast, cast.patient, give(cast, cast.patient), 2, harm=3)
    practice.clock.move(30 * DAY)  # type: ignore[attr-defined]
    fill(cast, cast.patient, give(cast, cast.patient), 1)
    assert facts(cast, cast.patient)["phq9.total"] == 8
    with cast.begin(cast.clinician, writes=False) as work:
        (line,) = service.latest(work, cast.patient.record)
        points = service.series(work, cast.patient.record, "phq9")
    assert (line.total, line.maximum, line.band) == (8, 27, "mild (5–9)")
    assert line.change is not None
    assert (line.change.before, line.change.direction) == (19, "better")
    assert line.at - (line.before_at or 0) == 30 * DAY
    assert line.flags == ()
    assert [point.total for point in points] == [19, 8]


def test_a_refusal_leaves_no_total_and_the_form_can_be_finished(cast: Cast) -> None:
    response = give(cast, cast.patient)
    for item in NINE:
        answer(cast, cast.patient, response, item, "several_days")
    answer(cast, cast.patient, response, "self_harm", "declined")
    with pytest.raises(Invalid), cast.begin(cast.patient) as work:
        service.complete(work, response)
    answer(cast, cast.patient, response, "function", "declined")
    with cast.begin(cast.patient) as work:
        service.complete(work, response)
        service.complete(work, response)
    with cast.begin(cast.clinician, writes=False) as work:
        (line,) = service.latest(work, cast.patient.record)
    assert line.completed
    assert line.total is None
    assert line.declined[0] == "thoughts of death or self-harm (item 9)"
    assert "phq9.total" not in facts(cast, cast.patient)


def test_what_was_sent_is_not_changed_any_more(cast: Cast) -> None:
    response = give(cast, cast.patient)
    fill(cast, cast.patient, response, 0)
    with pytest.raises(Refused):
        answer(cast, cast.patient, response, "sleep", "several_days")


@pytest.mark.parametrize("value", ["often", "", None, 2, {"state": "missing"}, {"option": ["not_at_all"]}])
def test_an_answer_the_question_does_not_have_is_refused(cast: Cast, value: Any) -> None:
    response = give(cast, cast.patient)
    with pytest.raises(Invalid):
        answer(cast, cast.patient, response, "sleep", value)


@pytest.mark.parametrize("item", ["item9", "function"])
def test_a_question_that_is_not_asked_takes_no_answer(cast: Cast, item: str) -> None:
    response = give(cast, cast.patient)
    with pytest.raises(NotFound):
        answer(cast, cast.patient, response, item, "somewhat")


def test_a_visit_has_each_questionnaire_once(cast: Cast) -> None:
    visit = new_id()
    first = give(cast, cast.patient, "phq9", visit)
    assert give(cast, cast.patient, "phq9", visit) == first
    give(cast, cast.patient, "gad7", visit)
    give(cast, cast.patient)
    with cast.begin(cast.patient, writes=False) as work:
        waiting = service.due(work, cast.patient.record, visit)
        assert [row.instrument_id for row in waiting] == ["phq9", "gad7"]
        assert service.minutes(waiting[0]) == 3
    fill(cast, cast.patient, first, 0)
    with cast.begin(cast.patient, writes=False) as work:
        assert [row.instrument_id for row in service.due(work, cast.patient.record, visit)] == ["gad7"]


def test_a_questionnaire_is_given_only_within_its_ages(cast: Cast) -> None:
    with cast.begin(cast.staff) as work:
        child = patients.add_patient(work, name="Robin Example", birth_date=_born(12), team_id=cast.team_id)
    with pytest.raises(Invalid), cast.begin(cast.staff) as work:
        service.assign(work, child.id, "phq9")
    with cast.begin(cast.staff) as work:
        given = service.assign_suitable(work, child.id, ["phq9", "gad7"])
        assert [row.instrument_id for row in given] == ["gad7"]
        assert given[0].compartment is Compartment.GENERAL


def test_an_adolescents_answers_are_their_own(cast: Cast) -> None:
    visit = new_id()
    response = give(cast, cast.adolescent, "phq9", visit)
    answer(cast, cast.adolescent, response, "self_harm", "several_days")
    with cast.begin(cast.guardian, writes=False) as work:
        assert service.latest(work, cast.adolescent.record) == []
        assert service.due(work, cast.adolescent.record, visit) == []
        (known,) = service.standing(work, cast.adolescent.record, visit)
        assert (known.state, known.mine) == (ResponseState.STARTED, False)
        assert "phq9.item9" not in patients.facts_of(work, cast.adolescent.record)
    with pytest.raises(NotFound), cast.begin(cast.guardian, writes=False) as work:
        service.open_response(work, response)
    with pytest.raises(NotFound), cast.begin(cast.guardian) as work:
        service.save_answer(work, response, "sleep", "not_at_all")
    with cast.system(writes=False) as work:
        work.asked = True
        kept = work.session.scalars(select(Fact).where(Fact.patient_id == cast.adolescent.record)).all()
    assert {fact.compartment for fact in kept} == {Compartment.CONFIDENTIAL}


def test_every_act_leaves_an_entry_in_the_audit_trail(cast: Cast) -> None:
    from telepsych.audit.models import AuditRow

    response = give(cast, cast.patient)
    fill(cast, cast.patient, response, 1, harm=1)
    with cast.begin(cast.patient) as work:
        service.leave_safety_page(work, response, says_safe=True)
    with cast.begin(cast.clinician, writes=False) as work:
        service.latest(work, cast.patient.record)
    with cast.system(writes=False) as work:
        actions = set(_actions(work, AuditRow))
    wanted = {"questionnaire.assigned", "answer.saved", "questionnaire.completed", "safety.said-safe"}
    assert wanted | {"questionnaires.read"} <= actions


def _actions(work: Work, rows: Any) -> list[str]:
    work.asked = True
    return list(work.session.scalars(select(rows.action)))


def _born(years: int) -> Any:
    from datetime import date

    return date(2026 - years, 1, 2)
