"""A4 for every act that ends sessions: the row is over at once, and its sockets hear of it on the bus.

What news and sweep then do to sockets, alone and together, is proved in tests/web/test_live_sessions.py.
"""

from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import select
from support.cast import Cast, Client, Member

from accounts.test_sign_in import PASSWORD, code
from telepsych.accounts import devices, factors, offboarding, people, recovery, sign_in
from telepsych.accounts.models import HowVerified, Person
from telepsych.app import epochs_of, web_of
from telepsych.core.actor import Role
from telepsych.core.errors import SignInNeeded
from telepsych.core.work import Practice, Work
from telepsych.web import sessions
from telepsych.web.live_sessions import closed_among
from telepsych.web.models import SignInSession
from telepsych.web.sessions import Standing

Act = Callable[[Work, Cast, UUID], object]


def sign_out(work: Work, cast: Cast, session: UUID) -> None:
    sign_in.sign_out(work, work.session.get_one(SignInSession, session))


def end_a_role(work: Work, cast: Cast, session: UUID) -> None:
    held = people.sheet(work, cast.staff.person_id).roles
    people.end_role(work, cast.staff.person_id, next(one.id for one in held if one.label == Role.COMPLIANCE))


ONE: dict[str, tuple[str, Act]] = {
    "signing out": ("staff", sign_out),
    "ending one": ("staff", lambda work, cast, session: devices.end(work, cast.staff.person_id, session)),
    "a manager ending one": ("manager", lambda work, cast, session: devices.end(work, cast.staff.person_id, session)),
}
ALL: dict[str, tuple[str, Act]] = {
    "a manager ending all": ("manager", lambda work, cast, _: devices.end_others(work, cast.staff.person_id)),
    "giving a role": (
        "manager",
        lambda work, cast, _: people.give_role(work, cast.staff.person_id, Role.CLINICIAN),
    ),
    "ending a role": ("manager", end_a_role),
    "leaving": ("manager", lambda work, cast, _: offboarding.leave(work, cast.staff.person_id)),
    "a new way in": (
        "manager",
        lambda work, cast, _: recovery.recover(work, cast.staff.person_id, HowVerified.VIDEO, "Passport seen."),
    ),
    "a new password": (
        "staff",
        lambda work, cast, _: factors.set_password(work, work.session.get_one(Person, cast.staff.person_id), "x"),
    ),
}


@pytest.mark.parametrize("act", [*ONE, *ALL])
def test_every_end_is_an_end_at_once_with_news(
    practice: Practice, cast: Cast, client_for: Callable[[Member], Client], act: str
) -> None:
    with cast.system() as work:
        people.give_role(work, cast.staff.person_id, Role.COMPLIANCE)
    clients = [client_for(cast.staff) for _ in range(3)]
    mine = [session_of(cast, one) for one in clients]
    who, do = (ONE | ALL)[act]
    with cast.begin(getattr(cast, who), fresh=True) as work:
        do(work, cast, mine[0])
        told = {one.ids["session"] for one in work.news if one.name == "signed-out"}
    expected = mine[:1] if act in ONE else mine
    assert {str(one) for one in expected} == told
    assert closed_among(web_of(practice), epochs_of, mine) == dict.fromkeys(expected, Standing.ENDED)
    assert [one.get("/api/live-ticket").status_code for one in clients] == [
        401 if one in expected else 200 for one in mine
    ]


def test_half_a_sign_in_that_was_ended_meanwhile_is_not_finished(practice: Practice, known: Cast) -> None:
    done = sign_in.with_password(practice, "sage@example.org", PASSWORD, address="", device="")
    with known.system() as work:
        work.asked = work.audited = True
        row = sessions.find(work, done.token)
        sessions.end_all(work, known.clinician.person_id)
    assert row
    with pytest.raises(SignInNeeded):
        sign_in.with_code(practice, row, code(practice), device="")
    with known.system(writes=False) as work:
        work.asked = True
        mine = SignInSession.person_id == known.clinician.person_id, SignInSession.ended_at.is_(None)
        assert work.session.scalars(select(SignInSession).where(*mine)).all() == []


def test_ending_all_others_keeps_this_one(
    practice: Practice, cast: Cast, client_for: Callable[[Member], Client]
) -> None:
    here, *others = [client_for(cast.patient) for _ in range(4)]
    assert here.post("/account/devices/end-others").status_code == 303
    assert here.get("/api/live-ticket").status_code == 200
    ids = [session_of(cast, one) for one in others]
    assert set(closed_among(web_of(practice), epochs_of, ids)) == set(ids)


def session_of(cast: Cast, client: Client) -> UUID:
    """The session of a browser."""
    token = client.http.get_cookie("telepsych-session").value
    with cast.system(writes=False) as work:
        work.asked = True
        mine = select(SignInSession.id).where(SignInSession.token_hash == sessions.hash_of(token))
        return work.session.scalars(mine).one()
