"""An emergency and the week of a compliance officer, in real browsers: every page clean, every step done by hand."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from stories.browser import SOON, Someone, somebody
from stories.conftest import Place, practice_at_work
from telepsych.accounts.models import Team
from telepsych.app import open_practice
from telepsych.core.actor import command
from telepsych.core.settings import Settings
from telepsych.patients import service as patients

pytestmark = [pytest.mark.browser, pytest.mark.live]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Place]:
    with practice_at_work(tmp_path) as running:
        yield running


@pytest.fixture
def enters(browser: Browser, served: Place) -> Iterator[Callable[[str], Someone]]:
    """Lets somebody of the demo sign in at a browser of their own."""
    with ExitStack() as everybody:

        def enter(name: str) -> Someone:
            someone = everybody.enter_context(somebody(browser, served.origin, name))
            someone.signs_in(served.accounts[name])
            return someone

        yield enter


def a_patient_of_another_team(place: Place) -> None:
    practice = open_practice(Settings.load(place.data, {"TELEPSYCH_ZONE": place.zone}))
    with practice.begin(command("test")) as work:
        team = next(one for one in work.session.scalars(select(Team)) if not one.is_default)
        patients.add_patient(work, name="Aspen Elsewhere", birth_date=date(1990, 1, 1), team_id=team.id)
    practice.records.dispose()


def test_an_emergency_is_opened_in_the_open_and_reviewed(served: Place, enters: Callable[[str], Someone]) -> None:
    a_patient_of_another_team(served)
    yarrow = enters("yarrow")
    yarrow.sees("What is due")
    before = yarrow.page.locator("main .rows > li").count()
    sage = enters("sage")
    sage.goes_to("/break-glass")
    sage.looks_around()
    sage.fills("Full name", "Aspen Elsewhere")
    sage.fills("Birth date", "1990-01-01")
    sage.presses("Find this person")
    sage.sees("Why do you need this record now?")
    sage.looks_around()
    sage.page.get_by_label(re.compile("Somebody may be in danger")).check()
    sage.fills("Why do you need", "Their sister called: they wrote a letter of goodbye.")
    sage.presses(re.compile("Open the record"))
    sage.page.wait_for_url(re.compile(r"/patients/[\w-]{36}$"))
    sage.sees("Emergency access to Aspen Elsewhere")
    sage.looks_around()
    expect(yarrow.page.locator("main .rows > li")).to_have_count(before + 1, timeout=2 * SOON)
    sage.presses("End now")
    sage.page.wait_for_url("**/patients")
    expect(sage.page.get_by_text("Emergency access to")).to_have_count(0)

    yarrow.goes_to("/oversight/reviews")
    yarrow.looks_around()
    yarrow.follows(re.compile("Sage Placeholder"))
    yarrow.sees("they wrote a letter of goodbye")
    yarrow.looks_around()
    yarrow.page.get_by_role("radio", name=re.compile("There was an emergency")).check()
    yarrow.fills("What this rests on", "The call is in the log")
    yarrow.presses("Sign off")
    yarrow.sees("The call is in the log")


def test_a_compliance_officer_works_through_a_week(enters: Callable[[str], Someone]) -> None:
    yarrow = enters("yarrow")
    yarrow.looks_around()
    for path in ("/who-looked", "/calendar", "/requests", "/holds", "/week"):
        yarrow.goes_to(f"/oversight{path}")
        yarrow.looks_around()
    yarrow.page.locator("main .rows a").first.click()
    yarrow.page.wait_for_url(re.compile(r"/week/\d{4}"))
    yarrow.looks_around()
    while yarrow.page.locator(".week-line button").count():
        left = yarrow.page.locator(".week-line button").count()
        yarrow.page.locator(".week-line button").first.click()
        expect(yarrow.page.locator(".week-line button")).to_have_count(left - 1, timeout=SOON)
    yarrow.presses("Sign off this week")
    yarrow.page.wait_for_url("**/oversight/week")
    yarrow.goes_to("/oversight/requests")
    yarrow.follows(re.compile("Copy of the record"))
    yarrow.looks_around()
    yarrow.page.get_by_role("radio", name="Done", exact=True).check()
    yarrow.fills("What was given or done", "Handed over as a file")
    yarrow.presses("Settle this request")
    yarrow.sees("Nobody waits")

    juniper = enters("juniper")
    juniper.goes_to("/looks")
    juniper.sees("Who looked at your record")
    juniper.looks_around()
    juniper.follows("Ask for something about the record")
    juniper.sees("Handed over as a file")
    juniper.looks_around()
