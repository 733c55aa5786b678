"""What is typed in an emergency and in the oversight room, and the pages that show it again."""

from datetime import date
from typing import TYPE_CHECKING

from sqlalchemy import select

from telepsych.core.clock import DAY
from telepsych.core.work import Work
from telepsych.oversight import jobs
from telepsych.oversight.models import GlassReview, RightsRequest
from telepsych.patients import service as patients
from telepsych.patients.models import BreakGlass, Destruction, LegalHold, Patient

if TYPE_CHECKING:
    from house.canary_story import Story

BORN = "1990-05-17"


def a_record_is_opened_in_an_emergency(story: "Story") -> None:
    """Somebody of another team finds the patient, says why, and ends it again."""
    stranger = story.typist(story.cast.stranger)
    stranger.spoil("/break-glass")
    asked = {"name": _name(story), "birth_date": BORN, "ground": "danger"}
    page = stranger.send("/break-glass", 200, **asked).get_data(as_text=True)
    assert "Why do you need this record" in page
    stranger.send("/break-glass/open", 422, **asked, reason=story.canary("x")[:4])
    no_ground = asked | story.all("break-glass", "ground", "acknowledged")
    stranger.send("/break-glass/open", 422, **no_ground, reason=story.canary("break-glass without a ground"))
    for ending in ("their own", "by compliance"):
        stranger.send("/break-glass/open", **asked, reason=f"{story.canary('break-glass reason')} and more words")
        stranger.go(f"/patients/{story.patient.record}")
        with story.cast.system(writes=False) as work:
            (glass_id,) = _ids(work, BreakGlass.id, BreakGlass.ended_at.is_(None))
            (review_id,) = _ids(work, GlassReview.id, GlassReview.glass_id == glass_id)
        unasked = {"unasked": story.canary(f"break-glass ended {ending}")}
        if ending == "their own":
            stranger.send(f"/break-glass/{glass_id}/end", **unasked)
        else:
            story.typist(story.cast.compliance).send(f"/oversight/reviews/{review_id}/end", **unasked)


def the_compliance_officer_works(story: "Story") -> None:
    """Requests, holds, reviews and a week, each worked through to its end."""
    record = story.patient.record
    patient, staff = story.typist(story.patient), story.typist(story.cast.staff)
    for someone, place in ((patient, f"/records/{record}/requests"), (staff, f"/patients/{record}/requests")):
        someone.spoil(place)
        someone.send(place, kind="access", words=story.canary("request words"))
    patient.send(f"/records/{record}/requests", kind="amendment", words=story.canary("request amendment"))
    story.pass_time(8 * DAY)
    jobs.make_weeks(story.practice)
    officer = story.typist(story.cast.compliance)
    _holds(story)
    _requests(story)
    _reviews(story)
    week = "/oversight/week/2026-11-23"
    officer.spoil(week)
    with story.cast.system(writes=False) as work:
        (one, *_) = _ids(work, GlassReview.id)
    lines = officer.get(week).split('name="lines" value="')[1:]
    chosen = [line.split('"')[0] for line in lines]
    officer.send(f"{week}/lines", lines=chosen, note=story.canary("week line note"))
    officer.send(week, week_note=story.canary("week note"))
    officer.spoil("/oversight/who-looked")
    days = {"first_day": "2026-11-20", "last_day": "2026-12-02", "person": ""}
    officer.send("/oversight/who-looked", 200, name=_name(story), birth_date=BORN, **days)
    for path in ("", "/reviews", f"/reviews/{one}", "/week", "/week/2026-11-23", "/calendar", "/requests", "/holds"):
        officer.go(f"/oversight{path}")
    for path in ("looks", "requests"):
        story.typist(story.patient).go(f"/records/{record}/{path}")


def an_old_record_is_decided_about(story: "Story") -> None:
    """Somebody left and died long ago: one proposes that the record goes, somebody else signs, and it is taken back."""
    with story.cast.system() as work:
        name = story.canary("old patient")
        old = patients.add_patient(work, name=name, birth_date=date(1950, 1, 2), team_id=story.cast.team_id).id
    staff, manager, officer = map(story.typist, (story.cast.staff, story.cast.manager, story.cast.compliance))
    staff.spoil(f"/patients/{old}/leaving")
    staff.send(f"/patients/{old}/leaving", last_treated="2010-01-05", died_on="2011-02-06")
    place = "/oversight/old-records"
    manager.go(place)
    manager.send(place, patient=str(old), unasked=story.canary("old record unasked"))
    with story.cast.system(writes=False) as work:
        (decision,) = _ids(work, Destruction.id)
    officer.go(place)
    officer.send(f"{place}/{decision}/sign", unasked=story.canary("old record signed"))
    officer.send(f"{place}/{decision}/withdraw", unasked=story.canary("old record kept"))


def _holds(story: "Story") -> None:
    officer = story.typist(story.cast.compliance)
    officer.spoil("/oversight/holds")
    typed = story.all("hold", "matter", "reason")
    officer.send("/oversight/holds", name=_name(story), birth_date=BORN, **typed)
    with story.cast.system(writes=False) as work:
        (hold,) = _ids(work, LegalHold.id, LegalHold.released_at.is_(None))
    officer.go("/oversight/holds")
    officer.send(f"/oversight/holds/{hold}/release", note=story.canary("hold release note"))


def _requests(story: "Story") -> None:
    officer = story.typist(story.cast.compliance)
    with story.cast.system(writes=False) as work:
        own, written, amendment = _ids(work, RightsRequest.id)
    officer.send(f"/oversight/requests/{own}/extension", reason=story.canary("request extension"))
    officer.spoil(f"/oversight/requests/{own}")
    officer.send(f"/oversight/requests/{own}/outcome", how="done", outcome=story.canary("request outcome"))
    officer.send(f"/oversight/requests/{written}/outcome", how="declined", outcome=story.canary("request declined"))
    withdrawal = f"/records/{story.patient.record}/requests/{amendment}/withdrawal"
    story.typist(story.patient).send(withdrawal, unasked=story.canary("request withdrawn"))


def _reviews(story: "Story") -> None:
    officer = story.typist(story.cast.compliance)
    with story.cast.system(writes=False) as work:
        reviews = _ids(work, GlassReview.id)
    for review in reviews:
        officer.spoil(f"/oversight/reviews/{review}")
        for verdict in ("follow-up", "appropriate"):
            officer.send(f"/oversight/reviews/{review}", verdict=verdict, note=story.canary(f"review {verdict}"))


def _name(story: "Story") -> str:
    with story.cast.system(writes=False) as work:
        work.asked = True
        return work.session.get_one(Patient, story.patient.record).name


def _ids(work: Work, column: object, *where: object) -> list[object]:
    work.asked = True
    return list(work.session.scalars(select(column).where(*where).order_by(column)))  # type: ignore[call-overload]
