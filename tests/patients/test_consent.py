"""Who has to sign, who may sign as whom, and what makes a signature lapse."""

from uuid import UUID

import pytest
from support.cast import Cast, Member

from telepsych.core.clock import DAY, local_date
from telepsych.core.errors import Conflict, NotFound, Refused
from telepsych.patients import consent_content
from telepsych.patients import service as patients


def sign(cast: Cast, who: Member, record: UUID, capacity: str, *, digest: str | None = None) -> None:
    with cast.begin(who) as work:
        zone = work.practice.settings.tz
        text = consent_content.in_force("telehealth", local_date(work.now, zone))
        years = patients.age(patients.open_patient(work, record), work.now, zone)
        shown = digest or consent_content.digest(text, years)
        patients.sign_consent(work, record, signer_name=who.name, capacity=capacity, answers={}, text_digest=shown)


def in_force(cast: Cast, record: UUID) -> bool:
    with cast.system(writes=False) as work:
        return patients.consent_in_force(work, record)


def test_an_adult_signs_alone_and_again_after_a_year(cast: Cast) -> None:
    record = cast.patient.record
    assert not in_force(cast, record)
    sign(cast, cast.patient, record, "patient")
    assert in_force(cast, record)
    cast.practice.clock.move(366 * DAY)  # type: ignore[attr-defined]
    assert not in_force(cast, record)


def test_an_adolescent_and_their_guardian_both_sign(cast: Cast) -> None:
    record = cast.adolescent.record
    sign(cast, cast.adolescent, record, "patient")
    assert not in_force(cast, record)
    sign(cast, cast.guardian, record, "guardian")
    assert in_force(cast, record)


def test_nobody_signs_in_another_ones_place(cast: Cast) -> None:
    record = cast.adolescent.record
    with pytest.raises(Refused):
        sign(cast, cast.adolescent, record, "guardian")
    with pytest.raises(Refused):
        sign(cast, cast.guardian, record, "patient")
    with pytest.raises(NotFound):
        sign(cast, cast.stranger, record, "patient")
    with pytest.raises(Refused):
        sign(cast, cast.clinician, record, "patient")


def test_another_text_than_the_one_in_force_is_not_signed(cast: Cast) -> None:
    with pytest.raises(Conflict):
        sign(cast, cast.patient, cast.patient.record, "patient", digest="00" * 32)
    assert not in_force(cast, cast.patient.record)
