"""What every page has: the frame, built files, dates where the practice is, drafts that end when their form is sent."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, render_template_string
from jinja2 import UndefinedError

from telepsych.core.clock import DAY, HOUR, MINUTE
from telepsych.web import assets, charts, dates, pages

AFTERNOON = 1_795_721_400_000_000
"""Thursday, November 26, 2026, 2:30 PM in New Haven."""


def in_page(app: Flask, source: str, **names: Any) -> str:
    with app.test_request_context("/"):
        from flask import g

        g.request_id = "test"
        return render_template_string(source, **names)


def test_dates_are_said_where_the_practice_is(app: Flask) -> None:
    with app.test_request_context("/"):
        assert dates.day(AFTERNOON) == "Thursday, November 26"
        assert dates.time(AFTERNOON) == "2:30\xa0PM"
        assert dates.daytime(AFTERNOON) == "Thursday, November 26 at 2:30\xa0PM (Eastern)"
        assert dates.short(AFTERNOON) == "Nov 26, 2:30\xa0PM"
        assert dates.short(AFTERNOON - 365 * DAY) == "Nov 26, 2025, 2:30\xa0PM"
        assert dates.machine(AFTERNOON) == "2026-11-26T19:30:00+00:00"
        assert dates.date_iso("2026-11-26") == "November 26, 2026"
        assert dates.date_iso("never") == "never"


def test_a_phone_number_stays_on_one_line(app: Flask) -> None:
    said = in_page(
        app, "{{ words | unbroken }} {{ '(203) 555-0100' | phone }} {{ '' | phone }}", words="Call <b> 1-800-467-3135"
    )
    assert '&lt;b&gt; <span class="unbroken">1-800-467-3135</span>' in said
    assert '<a class="unbroken" href="tel:2035550100">(203) 555-0100</a>' in said
    assert in_page(app, "{{ '2026-11-26, 12-34' | unbroken }}") == "2026-11-26, 12-34"


def test_time_left_and_gone(app: Flask, practice: Any) -> None:
    now = practice.clock.now()
    with app.test_request_context("/"):
        said = [dates.until(now + span) for span in (12 * MINUTE, 80 * MINUTE, 3 * HOUR, 3 * DAY, -25 * MINUTE)]
        assert said == ["12 min", "1 h 20 m", "3 h", "3 days", "25 min late"]
        assert dates.ago(now - 5 * MINUTE) == "5 min ago"
        assert dates.short(now) == "10:00\xa0AM"


def test_a_missing_name_is_false_when_asked_and_an_error_when_shown(app: Flask) -> None:
    assert in_page(app, "{{ 'yes' if nothing else 'no' }}{{ (error or {}).x or '' }}") == "no"
    with pytest.raises(UndefinedError):
        in_page(app, "{{ nothing }}")


def test_what_people_wrote_is_escaped(app: Flask) -> None:
    source = (
        '{% import "shared/macros.html" as ui with context %}'
        "{{ ui.field('a', text, value=text, hint=text, error=text, more={'data-x': text}) }}"
        "{{ ui.letter(text, text, text) }}{{ ui.choice('b', text, [(text, text, text)], text) }}"
        "{{ _('%(name)s invited you', name=text) }}"
    )
    shown = in_page(app, source, text='<img src=x onerror="1">')
    assert "<img" not in shown
    assert 'onerror="1"' not in shown


def test_a_field_leads_to_its_hint_and_error(app: Flask) -> None:
    source = (
        '{% import "shared/macros.html" as ui with context %}{{ ui.field("code", "Code", hint="Six", error="Wrong") }}'
    )
    shown = in_page(app, source)
    assert 'aria-describedby="code-hint code-error"' in shown
    assert 'aria-invalid="true"' in shown


def test_the_crisis_strip_comes_first_on_a_page_for_patients(app: Flask) -> None:
    shown = app.test_client().get("/sign-in").get_data(as_text=True)
    strip = re.search(r'<aside class="strip".*?</aside>', shown, re.S)
    assert strip
    words = re.sub(r"<[^>]+>", "", strip[0]).split()
    assert " ".join(words) == ("In crisis or thinking about suicide? Call 988 or text 988. In an emergency call 911.")
    assert shown.index('class="strip"') < shown.index("<main")
    assert shown.index("skip-link") < shown.index('class="strip"')


def test_the_only_script_carries_the_policys_nonce(app: Flask) -> None:
    response = app.test_client().get("/sign-in")
    nonce = re.search(r"'nonce-([^']+)'", response.headers["Content-Security-Policy"])
    assert nonce
    scripts = re.findall(r"<script\b[^>]*>", response.get_data(as_text=True))
    assert scripts == [f'<script type="module" nonce="{nonce[1]}" src="{assets.url("main.js")}">']


def test_built_files_are_kept_for_ever_and_nothing_else_is_served(app: Flask) -> None:
    assets.build()
    client = app.test_client()
    answer = client.get(assets.url("style.css"))
    assert answer.status_code == 200
    assert "immutable" in answer.headers["Cache-Control"]
    for name in ("manifest.json", "stamp", "..%2f..%2fcli.py", "style-AAAAAAAA.css", "%2e%2e/app.py"):
        assert client.get(f"/static/{name}").status_code == 404


def test_the_rail_shows_what_a_role_may_use(app: Flask) -> None:
    def rail(*roles: str) -> list[str]:
        me = SimpleNamespace(has=lambda *names: bool(set(names) & set(roles)))
        with app.test_request_context("/"):
            return [place.key for place in pages.staff_places(me, {})]  # type: ignore[arg-type]

    known = {rule.rule for rule in app.url_map.iter_rules()}
    assert ("inbox" in rail("staff")) == ("/inbox" in known)
    assert "today" not in rail("staff")
    assert "inbox" not in rail("compliance")


def test_a_draft_ends_when_its_form_is_taken(app: Flask, cast: Any, client_for: Any) -> None:
    @app.post("/taken")
    def taken() -> Any:
        return "", 303, {"Location": "/"}

    @app.post("/refused")
    def refused() -> Any:
        return "", 422

    client = client_for(cast.patient)
    client.put("/api/drafts/letter", json={"fields": {"body": "half a thought"}})
    client.post("/refused", data={"draft": "letter"})
    assert client.get("/api/drafts/letter").json == {"fields": {"body": "half a thought"}}
    client.post("/taken", data={"draft": "letter"})
    assert client.get("/api/drafts/letter").json == {"fields": {}}


def test_a_chart_is_drawn_inside_its_frame() -> None:
    bands = [(0, 4, "minimal"), (5, 9, "mild"), (20, 27, "severe")]
    drawn = charts.draw([(DAY, 0), (3 * DAY, 27), (2 * DAY, 9)], bands, [(2 * DAY, "sertraline 50 mg")], 27, 340, 250)
    assert [dot.value for dot in drawn.dots] == [0, 9, 27]
    assert drawn.dots[0].y == drawn.base
    assert drawn.dots[-1].y == drawn.top
    assert all(drawn.left < dot.x < drawn.right for dot in drawn.dots)
    assert all(drawn.top <= band.y and band.y + band.height <= drawn.base + 0.1 for band in drawn.stripes)
    assert charts.draw([]).dots == ()
    assert len(charts.draw([(DAY, 5)]).ends) == 1


def test_initials_leave_titles_out() -> None:
    assert [pages.initials(name) for name in ("Dr. Amara Okafor", "Juniper", "", "Rosa Delgado Fuentes, RN")] == [
        "AO",
        "J",
        "",
        "RF",
    ]
