"""What a decision must say. Pure: a choice, the snapshot it is about, and the day."""

from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from telepsych.appropriateness.content import Level
from telepsych.appropriateness.snapshots import Snapshot
from telepsych.core.errors import Invalid
from telepsych.core.words import gettext

NEXT_CONTACT_DAYS = 7


class Reason(StrEnum):
    """Why the level is what it is."""

    ACCEPTED = "accepted"
    RAISED = "raised"
    SEEN_IN_PERSON = "seen-elsewhere"
    LOWER_RISK = "assessed-lower"
    DECLINED = "declined"
    NO_SERVICE = "no-local-service"
    DATA_WRONG = "data-wrong"
    OTHER = "other"


LOWERING = (
    Reason.SEEN_IN_PERSON,
    Reason.LOWER_RISK,
    Reason.DECLINED,
    Reason.NO_SERVICE,
    Reason.DATA_WRONG,
    Reason.OTHER,
)


def reason_words() -> dict[Reason, str]:
    """The reasons as clinicians read them."""
    return {
        Reason.ACCEPTED: gettext("Accepted as recommended"),
        Reason.RAISED: gettext("Raised by clinical judgment"),
        Reason.SEEN_IN_PERSON: gettext("Seen elsewhere in person"),
        Reason.LOWER_RISK: gettext("Risk assessed and lower"),
        Reason.DECLINED: gettext("Patient declined after informed discussion"),
        Reason.NO_SERVICE: gettext("No local service"),
        Reason.DATA_WRONG: gettext("Data wrong"),
        Reason.OTHER: gettext("Other"),
    }


@dataclass(frozen=True, slots=True)
class Choice:
    """A clinician's choice as given."""

    level: Level
    reason_code: str = Reason.ACCEPTED
    reason: str = ""
    days: int | None = None
    action_taken: str = ""
    person_contacted: str = ""
    contacted_at: str = ""
    offered: str = ""
    risks_explained: str = ""
    alternative: str = ""
    next_contact: str = ""
    """ISO date."""

    def details(self) -> dict[str, Any]:
        """What is kept besides level and reason; empty fields are left out."""
        apart = {"level", "reason_code", "reason"}
        return {name: value for name, value in asdict(self).items() if value not in ("", None) and name not in apart}


def checked(choice: Choice, snapshot: Snapshot, today: date) -> Choice:
    """The choice, with the days of an L2 filled in. Raises `Invalid` naming each field that is missing or wrong."""
    recommended = snapshot.level
    faults: dict[str, str] = {}
    if choice.level.rank == recommended.rank:
        choice = replace(choice, reason_code=Reason.ACCEPTED)
    elif choice.level.rank > recommended.rank:
        choice = replace(choice, reason_code=Reason.RAISED)
        faults |= _missing(choice, {"reason": gettext("Say why you chose a higher level.")})
    else:
        faults |= _faults_of_lowering(choice, recommended, today)
    choice = _with_days(choice, snapshot, faults)
    if faults:
        raise Invalid(fields=faults)
    return choice


def _faults_of_lowering(choice: Choice, recommended: Level, today: date) -> dict[str, str]:
    faults: dict[str, str] = {}
    if choice.reason_code not in LOWERING:
        faults["reason_code"] = gettext("Choose the reason for a lower level.")
    needed = {"reason": gettext("Say in your own words why the level is lower.")}
    if recommended.rank >= Level.L3.rank:
        needed["action_taken"] = gettext("Say what was done.")
        needed["person_contacted"] = gettext("Say who was contacted.")
        needed["contacted_at"] = gettext("Say when.")
    if choice.reason_code == Reason.DECLINED:
        needed["offered"] = gettext("Say what was offered.")
        needed["risks_explained"] = gettext("Say which risks you explained.")
        needed["alternative"] = gettext("Say what was agreed instead.")
        if not _is_soon(choice.next_contact, today):
            faults["next_contact"] = gettext("Name the next contact, within 7 days.")
    return faults | _missing(choice, needed)


def _missing(choice: Choice, needed: dict[str, str]) -> dict[str, str]:
    return {name: words for name, words in needed.items() if not str(getattr(choice, name)).strip()}


def _is_soon(text: str, today: date) -> bool:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return False
    return today <= day <= today + timedelta(days=NEXT_CONTACT_DAYS)


def _with_days(choice: Choice, snapshot: Snapshot, faults: dict[str, str]) -> Choice:
    """An accepted L2 keeps the shortest recommended time; a chosen one may not be longer than that."""
    if choice.level is not Level.L2:
        return replace(choice, days=None)
    most = snapshot.days if snapshot.level is Level.L2 and snapshot.days else 90
    days = choice.days if choice.days is not None else min(most, 14 if snapshot.level is not Level.L2 else most)
    if not 1 <= days <= most:
        faults["days"] = gettext("Choose between 1 and the recommended number of days.")
    return replace(choice, days=days)
