"""Who may open, answer and give questionnaires: every member of the cast by every act."""

from collections.abc import Callable
from uuid import UUID

import pytest
from support.cast import Cast

from telepsych.core.errors import TelepsychError
from telepsych.core.work import Work
from telepsych.questionnaires import service

Act = Callable[[Work, UUID, UUID], object]
ACTS: dict[str, Act] = {
    "read": lambda work, _patient, response: service.open_response(work, response),
    "answer": lambda work, _patient, response: service.save_answer(work, response, "sleep", "not_at_all"),
    "leave safety": lambda work, _patient, response: service.leave_safety_page(work, response, says_safe=True),
    "give": lambda work, patient, _response: service.assign(work, patient, "gad7"),
    "list": lambda work, patient, _response: service.latest(work, patient) or _refuse(),
}
OWN = {"read", "answer", "leave safety", "give", "list"}
TABLE: dict[str, dict[str, set[str]]] = {
    "patient": {
        "patient": OWN,
        "clinician": OWN,
        "staff": {"read", "give", "list"},
        "manager": {"read", "give", "list"},
    },
    "adolescent": {
        "adolescent": OWN,
        "clinician": OWN,
        "guardian": {"give"},
        "staff": {"read", "give", "list"},
        "manager": {"read", "give", "list"},
    },
}
CAST = ["patient", "other_patient", "adolescent", "guardian", "clinician", "staff", "manager", "stranger"]


def _refuse() -> None:
    raise TelepsychError


@pytest.mark.parametrize("whose", sorted(TABLE))
def test_every_role_by_every_act(cast: Cast, whose: str) -> None:
    patient = getattr(cast, whose)
    with cast.begin(cast.clinician) as work:
        response = service.assign(work, patient.record, "phq9").id
    with cast.begin(patient) as work:
        service.save_answer(work, response, "self_harm", "several_days")
    found: dict[str, set[str]] = {}
    for name in CAST:
        allowed = {act for act in ACTS if _may(cast, name, act, patient.record, response)}
        if allowed:
            found[name] = allowed
    assert found == TABLE[whose]


def _may(cast: Cast, name: str, act: str, patient: UUID, response: UUID) -> bool:
    try:
        with cast.begin(getattr(cast, name)) as work:
            ACTS[act](work, patient, response)
            work.audited = True
    except TelepsychError:
        return False
    return True
