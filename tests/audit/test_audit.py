"""Audit rows: in every unit, refusals included, and no act without one."""

from collections.abc import Callable

import pytest
from sqlalchemy import event, func, select, update
from support.cast import Cast, Client, Member
from support.trail import drop_guards, run

from telepsych.accounts import service as accounts
from telepsych.accounts.models import Team
from telepsych.audit import service as audit
from telepsych.audit.models import AuditRow, Outcome
from telepsych.core.actor import command
from telepsych.core.errors import Refused
from telepsych.core.work import NotAudited, PolicyNotAsked, Practice, WroteWhileReading


def rows(practice: Practice, action: str) -> list[AuditRow]:
    with practice.begin(command("test"), writes=False, public="test") as work:
        return list(work.session.scalars(select(AuditRow).where(AuditRow.action == action)))


def test_an_act_leaves_a_genuine_row(practice: Practice, cast: Cast) -> None:
    with cast.begin(cast.manager) as work:
        accounts.add_team(work, "Birch Team")
    row = rows(practice, "team.added")[-1]
    assert row.actor_id == cast.manager.person_id
    assert audit.is_genuine(practice.vault, row)


@pytest.mark.parametrize("column", ["action", "about", "actor_id", "at", "outcome", "purpose", "touched", "relation"])
def test_an_altered_row_is_not_genuine(practice: Practice, cast: Cast, column: str) -> None:
    with cast.begin(cast.manager) as work:
        accounts.add_team(work, "Birch Team")
    row = rows(practice, "team.added")[-1]
    values = {"actor_id": cast.staff.person_id, "at": 1, "outcome": Outcome.REFUSED, "touched": b"x" * 32}
    with practice.begin(command("attacker"), public="test") as work:
        drop_guards(work)
        run(work, update(AuditRow).where(AuditRow.id == row.id).values(**{column: values.get(column, "something")}))
    assert not audit.is_genuine(practice.vault, _get(practice, row))


def _get(practice: Practice, row: AuditRow) -> AuditRow:
    with practice.begin(command("test"), writes=False, public="test") as work:
        return work.session.get_one(AuditRow, row.id)


def test_what_changed_is_sealed(practice: Practice, cast: Cast) -> None:
    row = rows(practice, "team.joined")[0]
    assert row.detail is not None
    assert b"person" not in row.detail
    assert "person" in audit.detail_of(practice.vault, row)


def test_no_audit_no_act(practice: Practice, cast: Cast) -> None:
    """L3: when the audit row cannot be written, nothing else is."""

    def fail(*_: object) -> None:
        raise RuntimeError("no audit today")

    event.listen(AuditRow, "before_insert", fail)
    try:
        with pytest.raises(RuntimeError, match="no audit"), cast.begin(cast.manager) as work:
            accounts.add_team(work, "Birch Team")
    finally:
        event.remove(AuditRow, "before_insert", fail)
    with practice.begin(command("test"), writes=False, public="test") as work:
        assert work.session.scalar(select(func.count()).select_from(Team)) == 2


def test_a_unit_that_forgets_its_duties_saves_nothing(practice: Practice, cast: Cast) -> None:
    actor = cast.manager.actor()
    with pytest.raises(PolicyNotAsked), practice.begin(actor) as work:
        work.add(Team(name="Birch Team"))
    with pytest.raises(NotAudited), practice.begin(actor, public="test") as work:
        work.add(Team(name="Birch Team"))
    with pytest.raises(WroteWhileReading), practice.begin(actor, writes=False, public="test") as work:
        work.add(Team(name="Birch Team"))
    with practice.begin(command("test"), writes=False, public="test") as work:
        assert work.session.scalar(select(func.count()).select_from(Team)) == 2


def test_a_rollback_drops_what_was_about_to_be_said(practice: Practice, cast: Cast) -> None:
    said: list[object] = []
    practice.bus = type("Ear", (), {"put": lambda self, session, news, now: said.extend(news)})()

    def speak_and_fail() -> None:
        with cast.begin(cast.staff) as work:
            work.announce([cast.patient.person_id], "queue:news")
            accounts.add_team(work, "Birch Team")

    with pytest.raises(Refused):
        speak_and_fail()
    assert said == []


def test_a_refusal_on_a_page_is_recorded(
    practice: Practice, cast: Cast, client_for: Callable[[Member], Client]
) -> None:
    assert client_for(cast.patient).get("/patients").status_code == 403
    row = rows(practice, "refused")[-1]
    assert (row.actor_id, row.outcome) == (cast.patient.person_id, Outcome.REFUSED)
    assert row.about.startswith("route:patients.")
