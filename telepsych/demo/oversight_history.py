"""What a compliance officer finds in the fictional practice: an emergency access to review, a request, past weeks."""

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from telepsych.accounts import service as accounts
from telepsych.core.actor import Role, command, system
from telepsych.core.clock import DAY, MINUTE
from telepsych.oversight import rights, weekly
from telepsych.patients import break_glass
from telepsych.patients import service as patients

if TYPE_CHECKING:
    from telepsych.demo.seed import Seed

REASON = "Emergency department on the phone: vomiting and tremor, takes lithium. They need his dose and last level."
ASKED = "I would like a copy of my visit summaries, as a file, please."


def history(made: "Seed", now: int) -> None:
    """An on-call psychiatrist of another team opened a record three days ago; a patient asked for a copy since."""
    made.clock.at = now - 3 * DAY
    with made.act() as work:
        team = accounts.add_team(work, "Alder Team")
        on_call = accounts.add_person(work, name="Dr. Reed Sample", roles={Role.CLINICIAN}, title="psychiatrist")
        work.session.flush()
        accounts.join_team(work, team.id, on_call.id)
        made.people["reed"] = on_call.id
    name, born = "Rowan Sample", date(1979, 11, 2)
    with made.act("reed") as work:
        break_glass.find(work, name=name, birth_date=born)
    with _fresh(made, "reed") as work:
        break_glass.break_glass(work, name=name, birth_date=born, ground="urgent_care", reason=REASON)
    made.clock.at += 4 * MINUTE
    with made.act("reed") as work:
        patients.facts_of(work, made.records["rowan"])
        patients.emergency_contact(work, made.records["rowan"])
    made.clock.at = now - 2 * DAY
    with made.act("juniper") as work:
        rights.ask(work, made.records["juniper"], "access", ASKED)
    made.clock.at = now
    with made.practice.begin(system("weekly-review")) as work:
        weekly.make_missing(work)
    _sign_off(made)


def _sign_off(made: "Seed") -> None:
    """The compliance officer is through with every week but the last."""
    with made.act("yarrow") as work:
        past = [week.monday.isoformat() for week in weekly.weeks(work)[1:]]
        for monday in past:
            lines = [line.id for _, found in weekly.page(work, monday).groups for line in found]
            if lines:
                weekly.sign_lines(work, monday, lines, "On the rota that evening, as the calendar shows.")
            work.session.flush()
            weekly.sign_week(work, monday, "")


def _fresh(made: "Seed", who: str) -> Any:
    """A unit of work of somebody who has just shown a factor."""
    with made.practice.begin(command("demo"), writes=False, public="demo") as work:
        actor = patients.actor_for(work, made.people[who])
    return made.practice.begin(replace(actor, factor_at=made.clock.at))
