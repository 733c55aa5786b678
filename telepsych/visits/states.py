"""The states of a visit, which may follow which, and what each means in words for both sides. Pure."""

from collections.abc import Mapping
from enum import StrEnum

from telepsych.core.errors import Conflict
from telepsych.core.words import gettext


class VisitState(StrEnum):
    """Where a visit stands. The values are those the browser's modules know."""

    BOOKED = "booked"
    CHECKED_IN = "checked-in"
    WAITING = "waiting"
    ADMITTED = "admitted"
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    SUMMARISED = "summarised"
    NO_SHOW = "no-show"
    CANCELLED = "cancelled"


class Side(StrEnum):
    """For whom a sentence is."""

    PATIENT = "patient"
    CLINICIAN = "clinician"


AHEAD = frozenset({VisitState.BOOKED, VisitState.CHECKED_IN, VisitState.WAITING})
LIVE = frozenset({VisitState.ADMITTED, VisitState.RECONNECTING})
OPEN = AHEAD | LIVE
HELD = frozenset({VisitState.ENDED, VisitState.SUMMARISED})
CLOSED = HELD | {VisitState.NO_SHOW, VisitState.CANCELLED}

FOLLOWS: Mapping[VisitState, frozenset[VisitState]] = {
    VisitState.BOOKED: frozenset({VisitState.CHECKED_IN, VisitState.WAITING, VisitState.CANCELLED, VisitState.NO_SHOW}),
    VisitState.CHECKED_IN: frozenset({VisitState.WAITING, VisitState.CANCELLED, VisitState.NO_SHOW}),
    VisitState.WAITING: frozenset({VisitState.ADMITTED, VisitState.CANCELLED, VisitState.NO_SHOW}),
    VisitState.ADMITTED: frozenset({VisitState.RECONNECTING, VisitState.ENDED}),
    VisitState.RECONNECTING: frozenset({VisitState.ADMITTED, VisitState.ENDED}),
    VisitState.ENDED: frozenset({VisitState.SUMMARISED}),
    VisitState.SUMMARISED: frozenset(),
    VisitState.NO_SHOW: frozenset(),
    VisitState.CANCELLED: frozenset(),
}


def require_follows(before: VisitState, after: VisitState) -> None:
    """Go on only if this state may follow. Raises `Conflict` with a sentence about where the visit stands."""
    if after not in FOLLOWS[before]:
        raise Conflict(gettext("This can't be done now. %(where)s") % {"where": sentence(before, Side.CLINICIAN)})


def sentence(state: VisitState, side: Side, name: str = "") -> str:
    """What the state means, in one sentence. `name` is the other side's: the clinician's, or the patient's."""
    who = name or (gettext("your clinician") if side is Side.PATIENT else gettext("the patient"))
    words = _patient() if side is Side.PATIENT else _clinician()
    text = words[state] % {"name": who}
    return text[:1].upper() + text[1:]


def _patient() -> dict[VisitState, str]:
    return {
        VisitState.BOOKED: gettext("Your visit is booked. There are a few things to do before it."),
        VisitState.CHECKED_IN: gettext("You are ready for your visit."),
        VisitState.WAITING: gettext("%(name)s knows you are here and will let you in."),
        VisitState.ADMITTED: gettext("Your visit is going on."),
        VisitState.RECONNECTING: gettext("The connection was interrupted. You can come back into your visit."),
        VisitState.ENDED: gettext("Your visit is over. Your summary will be here soon."),
        VisitState.SUMMARISED: gettext("Your visit is over. Your summary is ready."),
        VisitState.NO_SHOW: gettext("We missed you at this visit. Please call us or write to us for another time."),
        VisitState.CANCELLED: gettext("This visit was cancelled."),
    }


def _clinician() -> dict[VisitState, str]:
    return {
        VisitState.BOOKED: gettext("%(name)s has not finished checking in."),
        VisitState.CHECKED_IN: gettext("%(name)s has checked in."),
        VisitState.WAITING: gettext("%(name)s is waiting."),
        VisitState.ADMITTED: gettext("The visit is going on."),
        VisitState.RECONNECTING: gettext("The connection was interrupted. The visit is still open."),
        VisitState.ENDED: gettext("The visit is over. The summary is still to be written."),
        VisitState.SUMMARISED: gettext("The visit is over and summarised."),
        VisitState.NO_SHOW: gettext("%(name)s did not come to this visit."),
        VisitState.CANCELLED: gettext("This visit was cancelled."),
    }
