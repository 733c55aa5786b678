"""Sending once, reading without gaps, receipts, and who may do what."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import func, select

from telepsych.core.actor import Compartment
from telepsych.core.errors import Conflict, Invalid, NotFound, Refused
from telepsych.core.ids import new_id
from telepsych.messaging import service
from telepsych.messaging.models import Message
from telepsych.triage import service as triage
from telepsych.triage.priority import Priority

if TYPE_CHECKING:
    from support.cast import Cast, Client, Member


def begun(cast: "Cast", who: "Member", compartment: Compartment = Compartment.GENERAL) -> UUID:
    """A new conversation about the person's own record."""
    conversation_id = new_id()
    with cast.begin(who) as work:
        service.open_conversation(work, conversation_id, who.record, "medicine_question", {}, compartment=compartment)
    return conversation_id


def say(cast: "Cast", who: "Member", conversation_id: UUID, body: str, client_id: UUID | None = None) -> service.Sent:
    with cast.begin(who) as work:
        return service.send(work, conversation_id, client_id or new_id(), body)


def test_a_letter_sent_twice_is_kept_once_and_answered_the_same(cast: "Cast") -> None:
    where, name = begun(cast, cast.patient), new_id()
    first = say(cast, cast.patient, where, "Should I take it with food?", name)
    cast.practice.clock.move(5_000_000)  # type: ignore[attr-defined]
    again = say(cast, cast.patient, where, "Should I take it with food?\r\n", name)
    assert (first.is_new, again.is_new) == (True, False)
    assert (again.id, again.seq, again.sent_at, again.read_by) == (first.id, 1, first.sent_at, first.read_by)
    with pytest.raises(Conflict):
        say(cast, cast.patient, where, "Something else", name)
    assert (
        say(cast, cast.clinician, where, "With food.", name).seq == 2
    )  # the same id of another sender is another letter


def test_starting_twice_is_as_good_as_once_and_other_details_conflict(cast: "Cast") -> None:
    where = begun(cast, cast.patient)
    for details, is_fine in (({}, True), ({"medicine": "sertraline"}, False)):
        with cast.begin(cast.patient) as work:
            if is_fine:
                service.open_conversation(work, where, cast.patient.record, "medicine_question", details)
            else:
                with pytest.raises(Conflict):
                    service.open_conversation(work, where, cast.patient.record, "medicine_question", details)


@pytest.mark.parametrize("body", ["", "   \n", "x" * 20_001, "half \ud83d a character"])
def test_what_cannot_be_kept_is_refused_in_words(cast: "Cast", body: str) -> None:
    where = begun(cast, cast.patient)
    with pytest.raises(Invalid) as refusal:
        say(cast, cast.patient, where, body)
    assert "body" in refusal.value.fields


def test_words_of_danger_raise_the_item_and_bring_help_and_are_never_blocked(cast: "Cast") -> None:
    where = begun(cast, cast.patient)
    calm = say(cast, cast.patient, where, "Should I take it with food?")
    assert calm.help is None
    sent = say(cast, cast.patient, where, "I have my pills lined up and I am going to kill myself tonight")
    assert sent.help is not None
    assert any("988" in line["label"] for line in sent.help["lines"])
    assert sent.read_by is not None
    assert calm.read_by is not None
    assert sent.read_by < calm.read_by
    with cast.begin(cast.staff) as work:
        items = triage.items_about(work, ("conversation", where))
    assert [item.priority for item in items] == [Priority.EMERGENCY]
    assert items[0].why


def test_an_answer_of_the_team_stops_the_reply_clock(cast: "Cast") -> None:
    where = begun(cast, cast.patient)
    say(cast, cast.patient, where, "Should I take it with food?")
    say(cast, cast.staff, where, "With breakfast.")
    with cast.begin(cast.staff) as work:
        assert triage.items_about(work, ("conversation", where))[0].replied_at is not None


def test_events_come_in_order_with_receipts_that_only_move_forward(cast: "Cast") -> None:
    where = begun(cast, cast.patient)
    say(cast, cast.patient, where, "One")
    say(cast, cast.patient, where, "Two")
    for seq in (2, 1, 2):
        with cast.begin(cast.staff) as work:
            assert service.mark_read(work, where, seq) == 2
    with cast.begin(cast.clinician) as work:
        assert service.mark_read(work, where, 2) == 2
    with cast.begin(cast.patient, writes=False) as work:
        found = service.sync(work, where, 0)
    assert [(event["seq"], event["type"]) for event in found.events] == [
        (1, "message"), (2, "message"), (3, "receipt"),
    ]  # fmt: skip
    receipt = found.events[2]
    assert (receipt["side"], receipt["up_to"], found.up_to) == ("team", 2, 3)
    assert str(cast.staff.person_id) not in str(found.events)
    with cast.begin(cast.patient, writes=False) as work:
        assert service.sync(work, where, 3) == service.Sync((), 3)


def test_a_long_conversation_comes_in_parts(cast: "Cast", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telepsych.messaging.threads.WINDOW", 2)
    where = begun(cast, cast.patient)
    for number in range(5):
        say(cast, cast.patient, where, f"Letter {number}")
    seen, after = [], 0
    with cast.begin(cast.patient, writes=False) as work:
        while (found := service.sync(work, where, after)).events:
            seen += [event["seq"] for event in found.events]
            after = found.up_to
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("who", "general", "confidential"),
    [
        ("adolescent", True, True),
        ("guardian", True, False),
        ("clinician", True, True),
        ("staff", True, True),
        ("manager", True, True),
        ("patient", False, False),
        ("stranger", False, False),
    ],
)
def test_who_may_read_and_write(cast: "Cast", who: str, general: bool, confidential: bool) -> None:
    member: Member = getattr(cast, who)
    for compartment, allowed in ((Compartment.GENERAL, general), (Compartment.CONFIDENTIAL, confidential)):
        where = begun(cast, cast.adolescent, compartment)
        say(cast, cast.adolescent, where, "Hello")
        for act in (_reads, _writes, _marks):
            if allowed:
                act(cast, member, where)
            else:
                with pytest.raises(NotFound):
                    act(cast, member, where)


def _reads(cast: "Cast", who: "Member", where: UUID) -> None:
    with cast.begin(who, writes=False) as work:
        assert service.thread(work, where).letters
        assert where in [line.conversation_id for line in service.conversations(work)]


def _writes(cast: "Cast", who: "Member", where: UUID) -> None:
    assert say(cast, who, where, "An answer").is_new


def _marks(cast: "Cast", who: "Member", where: UUID) -> None:
    with cast.begin(who) as work:
        service.mark_read(work, where, 1)


def test_a_guardian_cannot_start_in_confidence_nor_a_stranger_at_all(cast: "Cast") -> None:
    for who, compartment in ((cast.guardian, Compartment.CONFIDENTIAL), (cast.stranger, Compartment.GENERAL)):
        with cast.begin(who) as work, pytest.raises(NotFound):
            service.open_conversation(work, new_id(), cast.adolescent.record, "refill", {}, compartment=compartment)


def test_news_and_notices_of_a_confidence_never_reach_the_guardian(cast: "Cast") -> None:
    where = begun(cast, cast.adolescent, Compartment.CONFIDENTIAL)
    with cast.begin(cast.staff) as work:
        service.send(work, where, new_id(), "Just for you")
        told = {person for news in work.news for person in news.people}
    assert cast.adolescent.person_id in told
    assert cast.guardian.person_id not in told


def test_a_closed_conversation_takes_nothing_new_but_still_answers_a_repeat(cast: "Cast") -> None:
    where, name = begun(cast, cast.patient), new_id()
    say(cast, cast.patient, where, "Thank you", name)
    with cast.begin(cast.staff) as work:
        service.close_conversation(work, where)
    assert not say(cast, cast.patient, where, "Thank you", name).is_new
    with pytest.raises(Refused):
        say(cast, cast.patient, where, "One more thing")


def test_a_letter_moved_to_another_place_does_not_open(cast: "Cast") -> None:
    from telepsych.crypto.envelope import CannotOpen

    where = begun(cast, cast.patient)
    say(cast, cast.patient, where, "One")
    say(cast, cast.patient, where, "Two")
    with cast.system() as work:
        work.audited = work.asked = True
        one, two = work.session.scalars(select(Message).order_by(Message.seq)).all()
        one.sealed, two.sealed = two.sealed, one.sealed
    with cast.begin(cast.patient, writes=False) as work, pytest.raises(CannotOpen):
        service.thread(work, where)
    with cast.system(writes=False) as work:
        work.asked = True
        assert work.session.scalar(select(func.count()).select_from(Message)) == 2


def test_a_guardian_reads_only_what_is_general(cast: "Cast", client_for: "Callable[[Member], Client]") -> None:
    open_to_all = begun(cast, cast.adolescent)
    hidden = begun(cast, cast.adolescent, Compartment.CONFIDENTIAL)
    say(cast, cast.adolescent, open_to_all, "About the form for school")
    say(cast, cast.adolescent, hidden, "Something of my own")
    page = client_for(cast.guardian).get("/messages").text
    assert "About the form for school" in page
    assert "About Wren" in page
    assert "Something of my own" not in page
    assert str(hidden) not in page
