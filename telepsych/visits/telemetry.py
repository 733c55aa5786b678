"""What the pages of a visit tell about sound and picture, and what of it the record keeps."""

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

from sqlalchemy import select

from telepsych.core.clock import SECOND, local_date
from telepsych.core.work import Work
from telepsych.visits import policy, service
from telepsych.visits.models import Visit, VisitHeartbeat
from telepsych.visits.states import HELD

NUMBERS = ("rtt_ms", "lost_in", "lost_out", "concealed", "frozen_s", "fps", "outgoing_kbit")
STATES = frozenset({"new", "connecting", "connected", "reconnecting", "lost", "untrusted", "closed"})
STEPS = ("video", "small", "audio", "telephone")
SOUND_ONLY = frozenset({"audio", "telephone"})
MOST_PEOPLE = 8
TOO_MUCH_LOST = 10
TOO_LONG_LOST = 120
"""Percent of sound, and seconds without a connection, from which a visit counts as failed."""
RECENT = 3


def of_page(sent: Mapping[str, Any]) -> dict[str, Any]:
    """What we keep of a page's figures: known numbers and words only."""
    people = sent.get("people")
    return {
        "mic": bool(sent.get("mic")),
        "camera": bool(sent.get("camera")),
        "people": [_person(one) for one in (people if isinstance(people, list) else [])[:MOST_PEOPLE]],
    }


def record_facts(work: Work, visit: Visit) -> None:
    """Write at the end of a visit how it was heard, and how the last ones were."""
    found = figures_of(work, visit)
    visit.telemetry = found
    recent = policy.visits_of(work.actor, work.now).where(
        Visit.patient_id == visit.patient_id, Visit.state.in_(HELD), Visit.id != visit.id
    )
    earlier = work.all(recent.order_by(Visit.starts_at.desc()).limit(RECENT - 1))
    failed = sum(bool(one.get("failed")) for one in (found, *(before.telemetry for before in earlier)))
    values: dict[str, object] = {
        "visit.dropped_seconds": found["dropped_seconds"],
        "visit.audio_loss_percent": found["audio_loss_percent"],
        "visit.audio_only": found["audio_only"],
        "visits.failed_of_last_3": failed,
        "visits.missed_in_row": 0,
        "last_visit": local_date(visit.starts_at, work.practice.settings.tz).isoformat(),
    }
    service.record(work, visit, values, source="visit")


def figures_of(work: Work, visit: Visit) -> dict[str, Any]:
    """How the visit was heard, from everybody's heartbeats."""
    beats = work.session.scalars(select(VisitHeartbeat).where(VisitHeartbeat.visit_id == visit.id)).all()
    people = [person for beat in beats for person in beat.figures.get("people", [])]
    losses = [person["figures"]["lost_in"] for person in people if "lost_in" in person["figures"]]
    steps = [person["step"] for person in people if person["step"]]
    loss = round(fmean(losses) * 100, 1) if losses else 0
    dropped = visit.dropped // SECOND
    return {
        "audio_loss_percent": loss,
        "dropped_seconds": dropped,
        "audio_only": _mostly(step in SOUND_ONLY for step in steps),
        "failed": dropped >= TOO_LONG_LOST or loss >= TOO_MUCH_LOST,
    }


def _person(one: Any) -> dict[str, Any]:
    person = one if isinstance(one, dict) else {}
    figures = person.get("figures")
    known = figures if isinstance(figures, dict) else {}
    numbers = {name: known[name] for name in NUMBERS if _is_number(known.get(name))}
    state, step = person.get("state"), person.get("step")
    return {
        "state": state if state in STATES else "",
        "step": step if step in STEPS else "",
        "figures": numbers,
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _mostly(answers: Iterable[bool]) -> bool:
    found = list(answers)
    return sum(found) * 2 > len(found)
