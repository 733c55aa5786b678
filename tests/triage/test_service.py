"""Work items: raising, clocks, claims, and how they end."""

import threading
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.cast import Cast, Member

from telepsych.core.actor import Compartment
from telepsych.core.clock import HOUR, MINUTE
from telepsych.core.errors import Conflict, Invalid, NotFound, Refused
from telepsych.core.ids import new_id
from telepsych.notifications.models import OutboxRow
from telepsych.patients import service as patients
from telepsych.triage import service as triage
from telepsych.triage.jobs import escalate
from telepsych.triage.models import Happening, ItemKind, ItemState, WorkItem
from telepsych.triage.priority import Priority

ABOUT = "conversation"


def raise_(
    cast: Cast,
    priority: Priority = Priority.ROUTINE,
    *,
    by: Member | None = None,
    about: UUID | None = None,
    kind: ItemKind = ItemKind.MESSAGE,
    compartment: Compartment = Compartment.GENERAL,
) -> WorkItem:
    who = by or cast.patient
    with cast.begin(who) as work:
        return triage.raise_item(
            work, who.record, kind, priority,
            title=f"A {priority} thing", why=[f"because {priority}"], about=(ABOUT, about or new_id()),
            compartment=compartment,
        )  # fmt: skip


def seen(cast: Cast, item_id: UUID) -> WorkItem:
    with cast.system(writes=False) as work:
        return triage.open_item(work, item_id)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(list(Priority)), st.integers(0, 300)), min_size=2, max_size=5))
def test_no_order_of_raises_lowers_a_priority_or_loosens_a_clock(
    cast: Cast, raises: list[tuple[Priority, int]]
) -> None:
    about, before = new_id(), None
    for priority, minutes in raises:
        item = raise_(cast, priority, about=about)
        if before is not None:
            assert item.id == before[0]
            assert item.priority >= before[1]
            for was, now in zip(before[2], (item.acknowledge_by, item.read_by, item.reply_by), strict=True):
                assert was is None or (now is not None and now <= was)
        before = (item.id, item.priority, (item.acknowledge_by, item.read_by, item.reply_by))
        cast.practice.clock.move(minutes * MINUTE)  # type: ignore[attr-defined]
    assert item.priority == max(priority for priority, _ in raises)


def test_the_same_thing_is_one_item_and_another_compartment_another(cast: Cast) -> None:
    about = new_id()
    first = raise_(cast, about=about, by=cast.adolescent)
    again = raise_(cast, Priority.URGENT, about=about, by=cast.adolescent)
    private = raise_(cast, about=about, by=cast.adolescent, compartment=Compartment.CONFIDENTIAL)
    assert again.id == first.id
    assert again.why == ["because routine", "because urgent"]
    assert private.id != first.id


def test_a_resolved_item_stays_so_and_what_comes_next_is_a_new_one(cast: Cast) -> None:
    about = new_id()
    first = raise_(cast, about=about)
    with cast.begin(cast.staff) as work:
        triage.resolve(work, first.id, "no-action")
    second = raise_(cast, about=about)
    assert second.id != first.id
    assert seen(cast, first.id).state is ItemState.RESOLVED


def test_each_act_stops_its_own_clock_and_only_an_answer_the_reply_clock(cast: Cast) -> None:
    item = raise_(cast, Priority.EMERGENCY)
    with cast.begin(cast.staff) as work:
        triage.note_read(work, item.id)
    now = seen(cast, item.id)
    assert (now.read_at, now.acknowledged_at, now.replied_at) == (cast.practice.clock.now(), None, None)
    with cast.begin(cast.staff) as work:
        triage.acknowledge(work, item.id)
        triage.claim(work, item.id)
    now = seen(cast, item.id)
    assert now.acknowledged_at
    assert now.replied_at is None
    with cast.begin(cast.staff) as work:
        triage.record_call(work, item.id, "Spoke with them; safe at home with their mother.")
    now = seen(cast, item.id)
    assert now.replied_at
    assert now.state is ItemState.WAITING
    assert not now.running()


def test_a_patient_who_writes_again_opens_what_waits_and_starts_the_reply_clock_anew(cast: Cast) -> None:
    about = new_id()
    item = raise_(cast, about=about)
    with cast.begin(cast.staff) as work:
        triage.claim(work, item.id)
        triage.note_reply(work, (ABOUT, about))
    assert seen(cast, item.id).state is ItemState.WAITING
    cast.practice.clock.move(30 * HOUR)  # type: ignore[attr-defined]
    with cast.begin(cast.patient) as work:
        triage.note_patient_wrote(work, (ABOUT, about))
    now = seen(cast, item.id)
    assert now.state is ItemState.CLAIMED
    assert now.replied_at is None
    assert now.reply_by
    assert now.reply_by > cast.practice.clock.now()


def test_of_two_who_claim_at_once_one_has_it_and_the_other_hears_who(cast: Cast) -> None:
    item = raise_(cast)
    start, answers = threading.Barrier(2), []

    def take(who: Member) -> None:
        actor = who.actor()
        start.wait()
        try:
            with cast.practice.begin(actor) as work:
                triage.claim(work, item.id)
            answers.append((who.name, None))
        except Conflict as conflict:
            answers.append((who.name, conflict.sentence))

    threads = [threading.Thread(target=take, args=(who,)) for who in (cast.staff, cast.clinician)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    winner = next(name for name, said in answers if said is None)
    (refused,) = [said for _, said in answers if said is not None]
    assert winner in refused
    assert seen(cast, item.id).claimed_by in (cast.staff.person_id, cast.clinician.person_id)


def test_letting_go_and_taking_over_are_said_openly(cast: Cast) -> None:
    item = raise_(cast)
    with cast.begin(cast.staff) as work:
        triage.claim(work, item.id)
    with pytest.raises(Conflict, match="Ash Example"), cast.begin(cast.clinician) as work:
        triage.resolve(work, item.id, "answered")
    with pytest.raises(Conflict), cast.begin(cast.clinician) as work:
        triage.release(work, item.id)
    with cast.begin(cast.clinician) as work:
        triage.claim(work, item.id, take_over_from=cast.staff.person_id)
        triage.release(work, item.id)
        happened = [event.what for event in triage.history(work, item.id)]
    assert happened == [Happening.RAISED, Happening.CLAIMED, Happening.TAKEN_OVER, Happening.RELEASED]


def test_what_concerns_safety_is_not_closed_without_an_answer_or_a_reason(cast: Cast) -> None:
    item = raise_(cast, Priority.URGENT)
    for disposition, note in (("answered", ""), ("", "a reason"), ("nonsense", "a reason"), ("no-action", "  ")):
        with pytest.raises(Invalid), cast.begin(cast.staff) as work:
            triage.resolve(work, item.id, disposition, note)
    with cast.begin(cast.staff) as work:
        triage.resolve(work, item.id, "no-action", "Sent twice by mistake; see the other item.")
    with pytest.raises(Conflict), cast.begin(cast.staff) as work:
        triage.resolve(work, item.id, "answered")


def test_in_person_care_has_its_own_ends_and_a_reason_when_declined(cast: Cast) -> None:
    with cast.begin(cast.clinician) as work:
        item = triage.raise_item(
            work, cast.patient.record, ItemKind.IN_PERSON, Priority.URGENT, title="Be seen in person",
            about=("in-person", new_id()), owner_id=cast.clinician.person_id, due_at=work.now + HOUR,
        )  # fmt: skip
    assert item.reply_by is None
    with pytest.raises(Invalid), cast.begin(cast.clinician) as work:
        triage.resolve(work, item.id, "declined")
    with cast.begin(cast.clinician) as work:
        assert triage.record_call(work, item.id, "Called").state is ItemState.OPEN
        triage.resolve(work, item.id, "booked")


def test_an_item_is_assigned_within_the_care_team_only(cast: Cast) -> None:
    item = raise_(cast)
    with pytest.raises(Invalid), cast.begin(cast.staff) as work:
        triage.assign(work, item.id, cast.stranger.person_id)
    with cast.begin(cast.staff) as work:
        assert triage.assign(work, item.id, cast.manager.person_id).owner_id == cast.manager.person_id


def test_who_sees_an_item(cast: Cast) -> None:
    general = raise_(cast, by=cast.adolescent)
    private = raise_(cast, by=cast.adolescent, compartment=Compartment.CONFIDENTIAL)
    sensitive = raise_(cast, by=cast.adolescent, compartment=Compartment.SENSITIVE)
    expected = {
        cast.clinician.name: {general.id, private.id, sensitive.id},
        cast.staff.name: {general.id, private.id},
        cast.manager.name: {general.id, private.id},
    }
    for who in cast.everybody():
        with cast.begin(who, writes=False) as work:
            found = {item.id for item in triage.open_items(work)}
        assert found == expected.get(who.name, set()), who.name
        if who.name not in expected:
            with pytest.raises((NotFound, Refused)), cast.begin(who) as work:
                triage.claim(work, general.id)


def test_a_missed_deadline_is_told_once(cast: Cast) -> None:
    item = raise_(cast, Priority.EMERGENCY)
    assert escalate(cast.practice) == 0
    cast.practice.clock.move(16 * MINUTE)  # type: ignore[attr-defined]
    assert escalate(cast.practice) == 2  # not acknowledged, not read
    assert escalate(cast.practice) == 0
    with cast.system(writes=False) as work:
        notices = work.all(OutboxRow.__table__.select())
        whats = [event.what for event in triage.history(work, item.id)]
    assert len(notices) == 1
    assert whats.count(Happening.ACKNOWLEDGE_MISSED) == 1
    cast.practice.clock.move(HOUR)  # type: ignore[attr-defined]
    assert escalate(cast.practice) == 1


def test_the_screen_reads_the_medicine_list_whoever_writes(cast: Cast) -> None:
    words = "I noticed a red rash on my chest today"
    with cast.begin(cast.patient) as work:
        assert triage.screen_text(work, cast.patient.record, words).priority < Priority.URGENT
    with cast.system() as work:
        value = [{"id": "lamotrigine", "name": "Lamotrigine"}]
        patients.record_facts(work, cast.patient.record, {"medicine.active": value}, source="test")
    with cast.begin(cast.patient) as work:
        assert triage.screen_text(work, cast.patient.record, words).priority >= Priority.URGENT


def test_help_is_there_with_the_practices_own_number() -> None:
    card = triage.help_card("crisis", minor=False, practice_phone="(203) 555-0100")
    assert card is not None
    hrefs = [line["href"] for line in card["lines"]]
    assert {"tel:988", "sms:988", "tel:911", "tel:2035550100"} <= set(hrefs)
    assert triage.help_card("none", minor=False, practice_phone="") is None
