"""Whatever people type, no page runs it (H7): every text at once, in a real browser, as patient, clinician and staff.

`benchmarks/script_injection.py` does the same for each text, field and page by itself.
"""

from collections.abc import Callable
from uuid import uuid4

import pytest
from flask import Flask
from playwright.sync_api import Browser
from support.cast import Cast, Client, Member
from support.markup import TEXTS, Watcher, served, watched

from telepsych.accounts.models import Person, Team
from telepsych.messaging import service as messaging
from telepsych.patients import service as patients
from telepsych.patients.models import Patient
from telepsych.web import assets

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("template", ["sqlite"], indirect=True)]


def type_everywhere(cast: Cast, client: Client, text: str) -> str:
    """Put a text wherever somebody can put one. Returns the conversation it went into."""
    conversation = uuid4()
    opened = client.put(f"/api/conversations/{conversation}", {"reason": "refill", "details": {}})
    assert opened.status_code in (200, 201), opened.get_data(as_text=True)
    assert client.put(f"/api/conversations/{conversation}/messages/{uuid4()}", {"body": text}).status_code == 201
    with cast.system() as work:
        work.asked = work.audited = True
        for person in work.session.query(Person):
            person.name = person.title = text
        for patient in work.session.query(Patient):
            patient.name = patient.preferred_name = patient.pronouns = text
        for team in work.session.query(Team):
            team.name = text
        phone = "(203) 555-0145"
        patients.set_emergency_contact(work, cast.patient.record, name=text, relationship=text, phone=phone)
    with cast.begin(cast.staff) as work:
        messaging.add_note(work, conversation, text)
    return str(conversation)


def pages_of(app: Flask, conversation: str, who: Member, patient: Member) -> list[str]:
    """Every page without an id, and those about the patient and the conversation."""
    values = {"conversation_id": conversation, "patient_id": str(patient.record)}
    found = []
    with app.test_request_context():
        urls = app.url_map.bind("localhost")
        for rule in app.url_map.iter_rules():
            if "GET" in (rule.methods or ()) and set(rule.arguments) <= set(values):
                found.append(urls.build(rule.endpoint, {name: values[name] for name in rule.arguments}))
    skipped = ("/sign-out", "/healthz", "/readyz", "/api/")
    return [path for path in dict.fromkeys(found) if not path.startswith(skipped)]


def look_round(watcher: Watcher, paths: list[str]) -> int:
    return sum(watcher.looks_at(path) for path in paths)


def test_no_text_runs_on_any_page(
    app: Flask, browser: Browser, cast: Cast, client_for: Callable[[Member], Client]
) -> None:
    assets.build()
    conversation = type_everywhere(cast, client_for(cast.patient), " ".join(TEXTS))
    with served(app) as origin:
        for who, least in ((cast.patient, 5), (cast.clinician, 4), (cast.staff, 4)):
            cookie = client_for(who).http.get_cookie("telepsych-session")
            assert cookie is not None
            with watched(browser, origin, cookie.value) as watcher:
                seen = look_round(watcher, pages_of(app, conversation, who, cast.patient))
                assert watcher.found == []
                assert seen >= least, f"{who.name} saw {seen} pages"


def test_a_page_that_did_run_one_would_be_noticed(
    app: Flask, browser: Browser, cast: Cast, client_for: Callable[[Member], Client]
) -> None:
    """The watcher sees what the policy stops, so that the silence above means something."""
    app.add_url_rule("/careless", "careless", lambda: f"<!doctype html><title>x</title>{TEXTS[0]}{TEXTS[11]}")
    app.view_functions["careless"].__dict__["telepsych_policy"] = "public: a test"
    cookie = client_for(cast.patient).http.get_cookie("telepsych-session")
    assert cookie is not None
    with served(app) as origin, watched(browser, origin, cookie.value) as watcher:
        assert watcher.looks_at("/careless")
        assert [one.split()[1] for one in watcher.found] == ["script-src-elem", "script-src-attr"]
