"""A visit from booking to summary, on both databases."""

from collections.abc import Callable

import pytest
from support.cast import Cast, Member

from telepsych.core.clock import MINUTE, SECOND, local_date
from telepsych.core.errors import Conflict, Invalid, NotFound, Refused
from telepsych.medications import service as medications
from telepsych.patients import service as patients
from telepsych.questionnaires import service as questionnaires
from telepsych.scheduling import service as scheduling
from telepsych.visits import closing, jobs, room, service
from telepsych.visits.states import Side, VisitState, sentence

from .conftest import Booked

TEXTS = {"decisions": "We keep the dose.", "next_step": "Take it in the evening.", "whom_to_call": "Call us."}


def test_a_booking_brings_everything_there_is_to_do(cast: Cast, booked: Booked) -> None:
    with cast.begin(cast.patient, writes=False) as work:
        given = [one.instrument_id for one in questionnaires.standing(work, cast.patient.record, booked.id)]
        assert given == ["phq9", "gad7"]
        assert not medications.check_in_done(work, booked.id)
    assert booked.row().state is VisitState.BOOKED


def test_a_young_person_is_asked_the_safety_questions_too(cast: Cast, book_for: Callable[[Member], Booked]) -> None:
    booked = book_for(cast.adolescent)
    with cast.begin(cast.adolescent, writes=False) as work:
        given = [one.instrument_id for one in questionnaires.standing(work, cast.adolescent.record, booked.id)]
    assert "asq" in given


def test_a_cancelled_appointment_cancels_its_visit(cast: Cast, booked: Booked) -> None:
    appointment = booked.row().appointment_id
    with cast.begin(cast.staff) as work:
        scheduling.cancel(work, appointment, "moved")
    assert booked.row().state is VisitState.CANCELLED
    with cast.begin(cast.patient, writes=False) as work:
        assert service.upcoming(work, cast.patient.record) == []


def test_the_clinicians_day_is_a_day_of_the_practice(cast: Cast, booked: Booked) -> None:
    zone = cast.practice.settings.tz
    day = local_date(booked.row().starts_at, zone)
    with cast.begin(cast.clinician, writes=False) as work:
        assert [one.id for one in service.of_day(work, cast.clinician.person_id, day)] == [booked.id]
        assert service.of_day(work, cast.clinician.person_id, local_date(work.now, zone)) == []
    with cast.begin(cast.stranger, writes=False) as work:
        assert service.of_day(work, None, day) == []
        with pytest.raises(NotFound):
            service.visit(work, booked.id)


def test_waiting_admitting_and_the_end(cast: Cast, booked: Booked) -> None:
    booked.go_to_start()
    with pytest.raises(Conflict), cast.begin(cast.clinician) as work:
        room.admit(work, booked.id)
    booked.arrive()
    with cast.begin(cast.clinician, writes=False) as work:
        assert [one.name for one in room.waiting(work, service.visit(work, booked.id))] == [cast.patient.name]
    booked.admit()
    assert booked.row().state is VisitState.ADMITTED
    booked.end()
    assert booked.row().state is VisitState.ENDED
    with pytest.raises(Conflict), cast.begin(cast.clinician) as work:
        room.end(work, booked.id)


def test_the_waiting_room_says_when_it_is_late(cast: Cast, booked: Booked) -> None:
    booked.go_to_start()
    booked.arrive()
    with cast.begin(cast.patient) as work:
        assert "late" not in room.look(work, booked.id).sentence
    cast.practice.clock.move(17 * MINUTE)  # type: ignore[attr-defined]
    with cast.begin(cast.patient) as work:
        assert "12 minutes late" in room.look(work, booked.id).sentence


def test_a_silent_page_is_noticed_and_a_heartbeat_brings_the_visit_back(cast: Cast, booked: Booked) -> None:
    booked.begin()
    clock = cast.practice.clock
    for who in (cast.patient, cast.clinician):
        with cast.begin(who) as work:
            room.beat(work, booked.id, {"mic": True, "camera": True, "people": []})
    clock.move(31 * SECOND)  # type: ignore[attr-defined]
    with cast.begin(cast.clinician) as work:
        room.beat(work, booked.id, {})
    assert jobs.mark_lost(cast.practice) == 1
    assert jobs.mark_lost(cast.practice) == 0
    assert booked.row().state is VisitState.RECONNECTING
    clock.move(20 * SECOND)  # type: ignore[attr-defined]
    with cast.begin(cast.patient) as work:
        room.beat(work, booked.id, {})
    found = booked.row()
    assert (found.state, found.dropped) == (VisitState.ADMITTED, 20 * SECOND)


def test_whoever_leaves_is_not_lost_and_comes_back(cast: Cast, booked: Booked) -> None:
    booked.begin()
    for who in (cast.patient, cast.clinician):
        with cast.begin(who) as work:
            room.join(work, booked.id)
    with cast.begin(cast.patient) as work:
        room.leave(work, booked.id)
    cast.practice.clock.move(31 * SECOND)  # type: ignore[attr-defined]
    with cast.begin(cast.clinician) as work:
        room.beat(work, booked.id, {})
    assert jobs.mark_lost(cast.practice) == 0
    with cast.begin(cast.patient) as work:
        room.rejoin(work, booked.id)


def test_what_was_heard_goes_into_the_record(cast: Cast, booked: Booked) -> None:
    booked.begin()
    figures = {"lost_in": 0.2, "rtt_ms": 90, "odd": "text"}
    person = {"id": "x", "state": "connected", "step": "audio", "figures": figures, "name": "Juniper"}
    with cast.begin(cast.patient) as work:
        room.beat(work, booked.id, {"mic": True, "people": [person, "nonsense"]})
    booked.end()
    with cast.begin(cast.clinician, writes=False) as work:
        known = {code: fact.value for code, fact in patients.facts_of(work, cast.patient.record).items()}
    assert known["visit.audio_loss_percent"] == 20
    assert known["visits.failed_of_last_3"] == 1
    assert known["last_visit"] == local_date(booked.row().starts_at, cast.practice.settings.tz).isoformat()


def test_a_missed_visit_is_counted(cast: Cast, booked: Booked) -> None:
    with pytest.raises(Refused), cast.begin(cast.staff) as work:
        service.mark_no_show(work, booked.id)
    cast.practice.clock.move(25 * 60 * MINUTE)  # type: ignore[attr-defined]
    with cast.begin(cast.staff) as work:
        service.mark_no_show(work, booked.id)
        assert patients.facts_of(work, cast.patient.record)["visits.missed_in_row"].value == 1


def test_the_summary_is_the_patients(cast: Cast, booked: Booked) -> None:
    booked.begin()
    with pytest.raises(Refused), cast.begin(cast.clinician) as work:
        closing.summarise(work, booked.id, TEXTS)
    booked.end()
    with pytest.raises(Invalid) as problem, cast.begin(cast.clinician) as work:
        closing.summarise(work, booked.id, {"decisions": "We keep the dose."})
    assert set(problem.value.fields) == {"next_step", "whom_to_call"}
    with cast.begin(cast.clinician) as work:
        closing.summarise(work, booked.id, TEXTS)
    assert booked.row().state is VisitState.SUMMARISED
    with cast.begin(cast.patient, writes=False) as work:
        assert closing.open_summary(work, booked.id)[1].decisions == "We keep the dose."
    with cast.begin(cast.other_patient, writes=False) as work, pytest.raises(NotFound):
        closing.open_summary(work, booked.id)


def test_a_young_persons_summary_may_be_theirs_alone(cast: Cast, book_for: Callable[[Member], Booked]) -> None:
    booked = book_for(cast.adolescent)
    booked.begin()
    booked.end()
    with cast.begin(cast.clinician) as work:
        closing.summarise(work, booked.id, TEXTS, private=True)
    with cast.begin(cast.adolescent, writes=False) as work:
        assert closing.open_summary(work, booked.id)
    with cast.begin(cast.guardian, writes=False) as work, pytest.raises(NotFound):
        closing.open_summary(work, booked.id)


def test_every_state_has_a_sentence_for_each_side() -> None:
    for state in VisitState:
        for side in Side:
            said = sentence(state, side, "Dr. Sage Example")
            assert said.endswith("."), (state, side)
            assert "%" not in said, (state, side)
