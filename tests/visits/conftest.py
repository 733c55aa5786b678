"""A visit of the cast's, booked through scheduling as staff do, and taken as far as a test needs it."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import pytest
from support.cast import Cast, Member

from telepsych.core.clock import HOUR, MINUTE
from telepsych.scheduling import service as scheduling
from telepsych.visits import room, service
from telepsych.visits.models import Visit

WHERE = {"state": "CT", "address": "12 Elm Street, New Haven", "situation": "home"}
ANSWERS = {
    "where": WHERE,
    "phone": {"number": "(203) 555-0144"},
    "contact": {"name": "Sky Example", "relationship": "sister", "phone": "(203) 555-0145"},
    "privacy": {"safe": "yes", "company": "alone"},
    "means": {"access": "no"},
    "questions": {"question1": "Can I take it in the evening?", "in_person": "no"},
}


@dataclass
class Booked:
    """One visit, with the acts of its people."""

    cast: Cast
    id: UUID
    patient: Member

    def row(self) -> Visit:
        with self.cast.system(writes=False) as work:
            return service.visit(work, self.id)

    def go_to_start(self) -> None:
        """Let the clock reach five minutes before the visit."""
        clock = self.cast.practice.clock
        clock.move(self.row().starts_at - 5 * MINUTE - clock.now())  # type: ignore[attr-defined]

    def arrive(self, who: Member | None = None) -> None:
        with self.cast.begin(who or self.patient) as work:
            room.arrive(work, self.id)

    def admit(self) -> None:
        with self.cast.begin(self.cast.clinician) as work:
            room.admit(work, self.id)

    def begin(self) -> None:
        """Up to the moment at which both are in the room."""
        self.go_to_start()
        self.arrive()
        self.admit()

    def end(self) -> None:
        with self.cast.begin(self.cast.clinician) as work:
            room.end(work, self.id)


def book(cast: Cast, patient: Member) -> Booked:
    with cast.begin(cast.staff) as work:
        start = work.now + 24 * HOUR
        appointment = scheduling.book(work, patient.record, cast.clinician.person_id, start, 30)
    with cast.system(writes=False) as work:
        visits = service.upcoming(work, patient.record)
        assert [visit.appointment_id for visit in visits] == [appointment.id]
        return Booked(cast, visits[0].id, patient)


@pytest.fixture
def booked(cast: Cast) -> Booked:
    """The adult patient's visit, tomorrow."""
    return book(cast, cast.patient)


@pytest.fixture
def book_for(cast: Cast) -> Callable[[Member], Booked]:
    """Books a visit for another of the cast."""
    return lambda who: book(cast, who)
