"""Everybody in the fictional practice. All names, numbers and stories are invented; 555 numbers reach nobody."""

from dataclasses import dataclass
from datetime import date

from telepsych.core.actor import Role


@dataclass(frozen=True, slots=True)
class Someone:
    """A person of the demo: `key` is how the seed speaks of them, `role` is the name in `accounts.json`."""

    key: str
    role: str
    name: str
    email: str
    password: str
    holds: frozenset[Role]
    title: str = ""
    phone: str = ""
    born: date | None = None
    preferred_name: str = ""
    pronouns: str = ""


def _someone(key: str, role: str, name: str, holds: Role, **more: object) -> Someone:
    email = f"{key}@example.org"
    return Someone(key, role, name, email, f"{key} walks by the quiet river", frozenset({holds}), **more)  # type: ignore[arg-type]


PEOPLE = (
    _someone(
        "juniper", "patient", "Juniper Example", Role.PATIENT,
        phone="(203) 555-0111", born=date(1992, 3, 14), pronouns="she/her",
    ),
    _someone(
        "rowan", "patient", "Rowan Sample", Role.PATIENT,
        phone="(203) 555-0112", born=date(1979, 11, 2), pronouns="he/him",
    ),
    _someone(
        "wren", "adolescent", "Wren Specimen", Role.PATIENT,
        phone="(203) 555-0113", born=date(2011, 6, 1), pronouns="they/them",
    ),
    _someone("marlow", "guardian", "Marlow Specimen", Role.GUARDIAN, phone="(203) 555-0114"),
    _someone("sage", "clinician", "Dr. Sage Placeholder", Role.CLINICIAN, title="psychiatrist", phone="(203) 555-0121"),
    _someone("ash", "staff", "Ash Fictional", Role.STAFF, title="nurse", phone="(203) 555-0122"),
    _someone("hazel", "manager", "Hazel Invented", Role.MANAGER, title="practice manager", phone="(203) 555-0123"),
    _someone(
        "yarrow", "compliance", "Yarrow Pretend", Role.COMPLIANCE, title="compliance officer", phone="(203) 555-0124"
    ),
)  # fmt: skip
