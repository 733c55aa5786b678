"""The medication check-in: kept step by step, what cannot wait is raised at once, and what the brief reads."""

from typing import Any
from uuid import UUID

import pytest
from support.cast import Cast, Member

from telepsych.core.errors import Invalid, NotFound, Refused, TelepsychError
from telepsych.core.ids import new_id
from telepsych.medications import check_ins, service
from telepsych.medications.asking import Kind
from telepsych.medications.check_ins import SavedStep
from telepsych.medications.models import PatientMedicine
from telepsych.patients import service as patients
from telepsych.triage import service as triage
from telepsych.triage.models import ItemKind, WorkItem
from telepsych.triage.priority import Priority


def give(cast: Cast, name: str, who: Member | None = None) -> PatientMedicine:
    with cast.begin(cast.clinician) as work:
        return service.add_medicine(work, (who or cast.patient).record, medicine_id=name, strength="100 mg")


def opened(cast: Cast, who: Member | None = None) -> UUID:
    visit = new_id()
    with cast.begin(cast.staff) as work:
        service.open_check_in(work, (who or cast.patient).record, visit)
    return visit


def answer(cast: Cast, visit: UUID, step: str, value: Any, who: Member | None = None, whole: bool = True) -> SavedStep:
    with cast.begin(who or cast.patient) as work:
        return check_ins.save_check_in_answer(work, visit, step, value, whole=whole)


def asked(cast: Cast, visit: UUID, who: Member | None = None) -> check_ins.Questioning:
    with cast.begin(who or cast.patient, writes=False) as work:
        now = check_ins.questioning(work, visit)
        assert now.check_in.answers is not None
        return now


def items(cast: Cast) -> list[WorkItem]:
    with cast.begin(cast.clinician, writes=False) as work:
        return triage.open_items(work)


def facts(cast: Cast, who: Member | None = None) -> dict[str, Any]:
    with cast.begin(cast.clinician, writes=False) as work:
        return {code: fact.value for code, fact in patients.facts_of(work, (who or cast.patient).record).items()}


def test_a_check_in_from_first_to_last_and_what_the_brief_reads(cast: Cast) -> None:
    row, visit = give(cast, "lithium"), opened(cast)
    answers: list[tuple[str, Any]] = [
        (f"{row.id}.taking", "sometimes"),
        (f"{row.id}.doses", {"missed": "2", "change": "less"}),
        (f"{row.id}.reasons", ["forgot"]),
        (f"{row.id}.effects", ["tremor"]),
        (f"{row.id}.supply", {"days": "6"}),
        ("severity", {"symptoms": {"tremor": "moderate"}, "burden": "little"}),
    ]
    for key, value in answers:
        now = asked(cast, visit)
        assert now.next is not None
        assert now.next.key == key
        with pytest.raises(Invalid), cast.begin(cast.patient) as work:
            service.complete_check_in(work, visit)
        answer(cast, visit, key, value)
    for _ in range(2):
        with cast.begin(cast.patient) as work:
            service.complete_check_in(work, visit)
    with cast.begin(cast.clinician, writes=False) as work:
        assert service.check_in_done(work, visit)
        report = service.check_in(work, cast.patient.record, visit)
    assert report is not None
    (told,) = report.medicines
    assert (told.label, told.taking, told.missed, told.days_left) == ("lithium 100 mg", "Sometimes", 2, 6)
    assert (told.own_change, told.reasons) == ("I take less", ("I forgot",))
    assert [(one.symptom_id, one.severity) for one in report.effects] == [("tremor", "Quite a lot")]
    assert report.burden == "A little"
    assert report.raised == ()
    known = facts(cast)
    assert known["medicine.missed_doses"] == {"lithium": 2}
    assert known["medicine.days_left"] == {"lithium": 6}
    assert known["medicine.stopped_suddenly"] == []
    assert known["symptom.tremor"] == {"present": True, "severity": "moderate", "medicines": ["lithium"]}
    assert known["symptom.confused"]["present"] is False


def test_a_red_flag_is_raised_in_the_unit_that_saves_it(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    row, visit = give(cast, "lamotrigine"), opened(cast)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(triage, "raise_item", broken)
    with pytest.raises(RuntimeError):
        answer(cast, visit, f"{row.id}.effects", ["rash"])
    monkeypatch.undo()
    assert asked(cast, visit).check_in.answers == {}
    assert "symptom.rash" not in facts(cast)

    saved = answer(cast, visit, f"{row.id}.effects", ["rash"], whole=False)
    assert saved.help
    assert not saved.safety
    (item,) = items(cast)
    assert (item.kind, item.priority) == (ItemKind.MEDICATION, Priority.URGENT)
    assert item.about_id == asked(cast, visit).check_in.id
    (shown,) = check_ins.unseen(asked(cast, visit).check_in)
    assert shown.words
    with cast.begin(cast.patient) as work:
        check_ins.see_help(work, visit)
    assert check_ins.unseen(asked(cast, visit).check_in) == []


def test_what_was_taken_back_stays_raised(cast: Cast) -> None:
    row, visit = give(cast, "lamotrigine"), opened(cast)
    answer(cast, visit, f"{row.id}.effects", ["rash"])
    answer(cast, visit, f"{row.id}.effects", [])
    with cast.begin(cast.clinician, writes=False) as work:
        report = service.check_in(work, cast.patient.record, visit)
    assert report is not None
    (raised,) = report.raised
    assert not raised.stands
    (item,) = items(cast)
    assert any("both are kept" in why for why in item.why)
    assert [line["value"] for line in asked(cast, visit).check_in.history] == [["rash"], []]


def test_stopping_suddenly_what_is_never_stopped_suddenly(cast: Cast) -> None:
    row, visit = give(cast, "clonazepam"), opened(cast)
    answer(cast, visit, f"{row.id}.taking", "no")
    saved = answer(cast, visit, f"{row.id}.doses", {"missed": 7, "change": "stopped_at_once"})
    assert saved.help
    (item,) = items(cast)
    assert item.priority is Priority.URGENT
    assert facts(cast)["medicine.stopped_suddenly"] == ["clonazepam"]


def test_thoughts_of_self_harm_are_a_safety_answer(cast: Cast) -> None:
    row, visit = give(cast, "sertraline"), opened(cast)
    saved = answer(cast, visit, f"{row.id}.effects", ["self_harm", "nausea"], whole=False)
    assert saved.safety
    (item,) = items(cast)
    assert item.kind is ItemKind.SAFETY_ANSWER


def test_a_young_person_is_not_asked_about_self_harm_where_a_parent_may_read(cast: Cast) -> None:
    give(cast, "sertraline", cast.adolescent)
    visit = opened(cast, cast.adolescent)
    for who in (cast.adolescent, cast.guardian):
        offered = {symptom.id for step in asked(cast, visit, who).steps for symptom in step.symptoms}
        assert "nausea" in offered
        assert "self_harm" not in offered


def test_a_half_filled_step_is_kept_but_stays_open(cast: Cast) -> None:
    row, visit = give(cast, "lithium"), opened(cast)
    answer(cast, visit, f"{row.id}.taking", "no")
    answer(cast, visit, f"{row.id}.doses", {"missed": "3"}, whole=False)
    with pytest.raises(Invalid) as fault:
        answer(cast, visit, f"{row.id}.doses", {"missed": "3"})
    assert set(fault.value.fields) == {"change"}
    now = asked(cast, visit)
    assert now.next is not None
    assert now.next.kind is Kind.DOSES
    assert now.check_in.answers[f"{row.id}.doses"]["missed"] == 3


def test_a_patient_without_medicines_is_done_by_saying_so(cast: Cast) -> None:
    visit = opened(cast)
    assert asked(cast, visit).steps == ()
    with cast.begin(cast.staff, writes=False) as work:
        assert not service.check_in_done(work, visit)
    with cast.begin(cast.patient) as work:
        service.complete_check_in(work, visit)
    with cast.begin(cast.staff, writes=False) as work:
        assert service.check_in_done(work, visit)


def test_a_visit_has_one_check_in(cast: Cast) -> None:
    visit = opened(cast)
    with cast.begin(cast.staff) as work:
        service.open_check_in(work, cast.patient.record, visit)
    with cast.begin(cast.staff, writes=False) as work:
        assert service.check_in(work, cast.patient.record, visit) is not None
        assert service.check_in(work, cast.other_patient.record, visit) is None
        assert service.check_in(work, cast.patient.record, new_id()) is None


def test_what_was_sent_is_not_changed_any_more(cast: Cast) -> None:
    visit = opened(cast)
    with cast.begin(cast.patient) as work:
        service.complete_check_in(work, visit)
    row = give(cast, "lithium")
    with pytest.raises(Refused):
        answer(cast, visit, f"{row.id}.taking", "yes")


READS, ANSWERS, OPENS = "reads", "answers", "opens"
TABLE = {
    "patient": {
        "patient": {READS, ANSWERS, OPENS},
        "clinician": {READS, OPENS},
        "staff": {READS, OPENS},
        "manager": {READS, OPENS},
    },
    "adolescent": {
        "adolescent": {READS, ANSWERS, OPENS},
        "guardian": {READS, ANSWERS, OPENS},
        "clinician": {READS, OPENS},
        "staff": {READS, OPENS},
        "manager": {READS, OPENS},
    },
}


@pytest.mark.parametrize("whose", sorted(TABLE))
def test_every_role_by_every_act(cast: Cast, whose: str) -> None:
    patient: Member = getattr(cast, whose)
    row = give(cast, "lithium", patient)
    visit = opened(cast, patient)
    found = {}
    for who in cast.everybody():
        allowed = {act for act in (READS, ANSWERS, OPENS) if _may(cast, who, act, patient.record, visit, row.id)}
        if allowed:
            found[_name(cast, who)] = allowed
    assert found == TABLE[whose]


def _may(cast: Cast, who: Member, act: str, patient: UUID, visit: UUID, row: UUID) -> bool:
    try:
        with cast.begin(who) as work:
            if act == READS:
                check_ins.questioning(work, visit)
            elif act == ANSWERS:
                check_ins.save_check_in_answer(work, visit, f"{row}.taking", "yes")
            else:
                service.open_check_in(work, patient, new_id())
    except TelepsychError:
        return False
    return True


def _name(cast: Cast, who: Member) -> str:
    return next(name for name, member in vars(cast).items() if member is who)


def test_it_is_not_found_under_another_visit(cast: Cast) -> None:
    opened(cast)
    with pytest.raises(NotFound):
        asked(cast, new_id())
