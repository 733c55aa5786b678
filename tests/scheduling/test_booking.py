"""Booking: by whom, when, and not twice."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from support.cast import Cast, Client, Member

from telepsych.core.clock import DAY, HOUR, MINUTE
from telepsych.core.errors import Conflict, Invalid, NotFound, Refused
from telepsych.scheduling import service
from telepsych.scheduling.models import Appointment

ClientFor = Callable[[Member], Client]


def book(cast: Cast, who: Member, after: int, minutes: int = 30, clinician: Member | None = None) -> Appointment:
    with cast.begin(who) as work:
        holder = (clinician or cast.clinician).person_id
        return service.book(work, cast.patient.record, holder, work.now + after, minutes, "Follow-up")


def test_a_visit_is_booked_with_its_reason_sealed(cast: Cast) -> None:
    row = book(cast, cast.staff, DAY)
    assert (row.minutes, row.reason) == (30, "Follow-up")


@pytest.mark.parametrize("who", ["patient", "guardian"])
def test_patients_do_not_book(cast: Cast, who: str) -> None:
    with pytest.raises(Refused):
        book(cast, getattr(cast, who), DAY)


def test_another_team_does_not_find_the_patient(cast: Cast) -> None:
    with pytest.raises(NotFound):
        book(cast, cast.stranger, DAY)


@pytest.mark.parametrize(
    ("after", "minutes", "field"),
    [(-HOUR, 30, "time"), (DAY - 5 * HOUR, 30, "time"), (DAY + 12 * HOUR, 30, "time"), (DAY, 0, "minutes")],
)
def test_odd_times_are_refused(cast: Cast, after: int, minutes: int, field: str) -> None:
    """The clock stands at 10 in the morning: an hour ago, 5 in the morning, 10 at night."""
    with pytest.raises(Invalid) as refused:
        book(cast, cast.staff, after, minutes)
    assert set(refused.value.fields) == {field}


@pytest.mark.parametrize("who", ["staff", "stranger", "patient"])
def test_only_a_clinician_of_the_care_team_holds_the_visit(cast: Cast, who: str) -> None:
    with pytest.raises(Invalid) as refused:
        book(cast, cast.staff, DAY, clinician=getattr(cast, who))
    assert set(refused.value.fields) == {"clinician"}


@pytest.mark.parametrize("shift", [-29, 0, 29])
def test_a_clinician_is_not_booked_twice(cast: Cast, shift: int) -> None:
    book(cast, cast.staff, DAY)
    with pytest.raises(Conflict):
        book(cast, cast.staff, DAY + shift * MINUTE)


@pytest.mark.parametrize("shift", [-30, 30])
def test_visits_may_follow_each_other(cast: Cast, shift: int) -> None:
    book(cast, cast.staff, DAY)
    book(cast, cast.staff, DAY + shift * MINUTE)


def test_a_cancelled_time_is_free_again(cast: Cast) -> None:
    row = book(cast, cast.staff, DAY)
    with cast.begin(cast.staff) as work:
        service.cancel(work, row.id, "Moved")
    book(cast, cast.staff, DAY)


FORM = {"date": "2026-11-26", "time": "14:30", "minutes": "30", "reason": "How sleep is going"}


def test_staff_book_on_the_page(cast: Cast, client_for: ClientFor) -> None:
    client, path = client_for(cast.staff), f"/patients/{cast.patient.record}/book"
    assert cast.clinician.name in client.get(path).text
    answer = client.post(path, FORM | {"clinician": str(cast.clinician.person_id)})
    assert (answer.status_code, answer.location) == (303, f"/patients/{cast.patient.record}")
    with cast.system(writes=False) as work:
        work.asked = True
        assert work.session.scalars(select(Appointment.minutes)).all() == [30]


@pytest.mark.parametrize("wrong", [{"date": "2026-11-23"}, {"time": "02:30"}, {"minutes": "x"}, {"clinician": ""}])
def test_the_page_keeps_what_was_typed(cast: Cast, client_for: ClientFor, wrong: dict[str, str]) -> None:
    client, path = client_for(cast.staff), f"/patients/{cast.patient.record}/book"
    answer = client.post(path, FORM | {"clinician": str(cast.clinician.person_id)} | wrong)
    assert answer.status_code == 422
    assert "How sleep is going" in answer.text


def test_a_foreign_patient_is_not_there(cast: Cast, client_for: ClientFor) -> None:
    assert client_for(cast.stranger).get(f"/patients/{cast.patient.record}/book").status_code == 404
    assert client_for(cast.patient).get(f"/patients/{cast.patient.record}/book").status_code == 403
