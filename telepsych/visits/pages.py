"""What the pages of a visit show."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from telepsych.core.words import gettext
from telepsych.patients.consent_content import Question, Section
from telepsych.patients.models import ConsentSignature, EmergencyContact
from telepsych.triage.content import Line
from telepsych.visits import forms
from telepsych.visits.check_in import Readiness, Step
from telepsych.visits.forms import Company, Situation, StepKey
from telepsych.visits.models import Summary, Visit
from telepsych.visits.room import Waiting

Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class HubPage:
    """What is left to do before a visit. `for_name` is the patient's, when somebody else prepares it."""

    visit: Visit
    clinician: str
    for_name: str
    readiness: Readiness
    may_join: bool
    join_url: str
    sentence: str
    closed: bool

    @property
    def next(self) -> Step | None:
        return self.readiness.next


@dataclass(frozen=True, slots=True)
class StepPage:
    """One page of the check-in."""

    visit_id: UUID
    key: str
    title: str
    step: int
    steps: int
    back: str
    values: Mapping[str, Any]
    errors: Mapping[str, str] = field(default_factory=dict)
    contact: EmergencyContact | None = None
    minor: bool = False
    about: str = ""
    """What to call the patient, before somebody who answers for them."""

    @property
    def draft(self) -> str:
        return f"check-in-{self.visit_id}-{self.key}"

    @property
    def states(self) -> Options:
        return (("", gettext("Choose a state")), *forms.STATES.items())

    @property
    def situations(self) -> Options:
        return (
            (Situation.HOME, gettext("At home, or staying with someone")),
            (Situation.WORK, gettext("At work or school")),
            (Situation.PUBLIC, gettext("In a public place")),
            (Situation.DRIVING, gettext("In a car")),
        )

    @property
    def company(self) -> Options:
        if self.about:
            return (
                (Company.ALONE, gettext("They are alone, and nobody can hear them")),
                (Company.WITH, gettext("Someone is with them, and they want that")),
                (Company.NEAR, gettext("Others are near and could hear them")),
            )
        return (
            (Company.ALONE, gettext("I am alone, and nobody can hear me")),
            (Company.WITH, gettext("Someone is with me, and I want them here")),
            (Company.NEAR, gettext("Others are near and could hear me")),
        )

    @property
    def yes_no(self) -> Options:
        return (("yes", gettext("Yes")), ("no", gettext("No")))


@dataclass(frozen=True, slots=True)
class ConsentPage:
    """The text to read and sign."""

    visit_id: UUID
    title: str
    intro: str
    sections: tuple[Section, ...]
    questions: tuple[Question, ...]
    statement: str
    withdraw: str
    version: str
    digest: str
    signed: tuple[ConsentSignature, ...]
    may_withdraw: bool
    may_sign: bool
    done: bool
    step: int
    steps: int
    values: Mapping[str, Any]
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def yes_no(self) -> Options:
        return (("yes", gettext("Yes")), ("no", gettext("No")))


@dataclass(frozen=True, slots=True)
class DetourPage:
    """A page between two answers that says what one of them means."""

    visit: Visit
    kind: str
    onward: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class VisitLine:
    """A visit in a list."""

    visit: Visit
    clinician: str
    sentence: str
    may_join: bool
    join_url: str
    has_summary: bool


@dataclass(frozen=True, slots=True)
class PatientVisits:
    """The visits of one patient, for a page that may show several."""

    name: str
    upcoming: tuple[VisitLine, ...]
    past: tuple[VisitLine, ...]


@dataclass(frozen=True, slots=True)
class WaitingPage:
    """The waiting room."""

    visit: Visit
    clinician: str
    sentence: str
    callback_number: str
    where_is_open: bool


@dataclass(frozen=True, slots=True)
class DoorPage:
    """Who waits, and what speaks against beginning."""

    visit: Visit
    waiting: tuple[Waiting, ...]
    blocks: tuple[str, ...]
    sentence: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class TodayPage:
    """Where the patient is now, how they are reached, and who helps when they are lost from sight."""

    visit: Visit
    name: str
    where: Mapping[str, Any]
    state_name: str
    licensed: bool | None
    contact: EmergencyContact | None
    contact_is_stale: bool
    callback_number: str
    privacy: Mapping[str, Any]
    company: str
    situation: str
    identity_verified: bool
    location_confirmed: bool
    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoomPage:
    """The room, for one participant. `number` is the one agreed for when the connection fails."""

    visit: Visit
    other: str
    is_clinician: bool
    number: str
    ended_url: str


@dataclass(frozen=True, slots=True)
class ClosePage:
    """The form of a summary."""

    visit: Visit
    values: Mapping[str, str]
    errors: Mapping[str, str]
    may_be_private: bool
    private: bool
    written: bool

    @property
    def draft(self) -> str:
        return f"visit-close-{self.visit.id}"


@dataclass(frozen=True, slots=True)
class SummaryPage:
    """What the patient takes home."""

    visit: Visit
    summary: Summary
    clinician: str
    private: bool


def values_of(key: StepKey, answers: Mapping[str, Any]) -> dict[str, Any]:
    """What was answered, as the form's fields show it."""
    yes_no = {True: "yes", False: "no"}
    if key is StepKey.PRIVACY and answers:
        return {**answers, "safe": yes_no[answers["safe"]]}
    if key is StepKey.GUARDIAN and answers:
        return {"reachable": yes_no[answers["reachable"]]}
    if key is StepKey.MEANS and answers:
        return {
            "access": yes_no[answers["access"]] if "access" in answers else "",
            "declined": answers.get("declined", False),
        }
    if key is StepKey.QUESTIONS and answers:
        asked = dict(zip(forms.QUESTIONS, answers["questions"], strict=False))
        return {**asked, "in_person": yes_no[answers["in_person"]]}
    return dict(answers)
