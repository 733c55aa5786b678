"""Texts that another language would obey (SQL, templates, mail, logs, spreadsheets, markup) stay texts (H10)."""

import html
import logging
import re
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select
from support.cast import Cast, Client, Member

from telepsych.accounts import service as accounts
from telepsych.accounts.models import Person
from telepsych.core.errors import Invalid
from telepsych.core.work import Practice
from telepsych.notifications import jobs
from telepsych.notifications import service as notifications

ROOM = Path(__file__).parents[2] / "telepsych"
MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|DOMParser|document\.write")
CORPUS = (
    "' OR '1'='1",
    "'; DROP TABLE person; --",
    '" UNION SELECT secret FROM factor --',
    "1); DELETE FROM audit_row; --",
    "%' AND 1=CAST((SELECT version()) AS int) --",
    "{{ 7*191 }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "${7*191}",
    "#{7*191}",
    "%(zone)s %(nothing)s %s %d",
    "{0.__class__} {actor.id}",
    '=HYPERLINK("http://evil.example","x")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+1+1",
    "hello\r\nBcc: everyone@evil.example",
    "hello\nSubject: changed\n\nanother body",
    "\x1b[31mred\x1b[0m",
    "line\n2026-11-24 09:00 telepsych WARNING signed-in manager",
    "<script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "</textarea><svg onload=window.hit=1>",
    "javascript:alert(1)",
    "\"><a href='javascript:window.hit=1'>x</a>",
    "\u202egnp.exe",
    "a\x00b",
    "../../../../etc/passwd",
    "\ufeff\ud7ff\U0010ffff",
)


@pytest.mark.parametrize("text", CORPUS)
def test_a_letter_holds_exactly_what_was_typed(
    app: Flask, cast: Cast, client_for: Callable[[Member], Client], text: str
) -> None:
    patient, conversation = client_for(cast.patient), uuid4()
    opened = patient.put(f"/api/conversations/{conversation}", {"reason": "refill", "details": {"medicine": text}})
    assert opened.status_code in (200, 201, 422), opened.get_data(as_text=True)
    said = patient.put(f"/api/conversations/{conversation}/messages/{uuid4()}", {"body": text})
    assert said.status_code < 500
    if said.status_code != 201:
        assert "\x00" in text or said.status_code in (404, 422)
        return
    page = patient.get(f"/messages/{conversation}").get_data(as_text=True)
    assert "1337" not in page, "a template was obeyed"
    for sign in ("<script>window", "<img src=x", "<svg onload", "<a href='javascript"):
        assert sign not in page
    with cast.system(writes=False) as work:
        work.asked = True
        assert work.session.scalar(select(func.count()).select_from(Person)) > 5


@pytest.mark.parametrize("text", CORPUS)
def test_no_field_or_address_is_obeyed(app: Flask, cast: Cast, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """What anybody can send without signing in: the sign-in form, an address, headers of a browser."""
    caplog.set_level(logging.DEBUG, logger="telepsych")
    browser = app.test_client()
    plain = re.sub(r"[\x00-\x1f\x7f]|[^\x00-\xff]", "", text)
    page = browser.get("/sign-in", query_string={"next": text}, headers={"User-Agent": plain})
    token = page.get_data(as_text=True).split('name="csrf_token" value="')[1].split('"')[0]
    form = {"csrf_token": token, "email": text, "password": text, "next": text}
    answer = browser.post("/sign-in", data=form, headers={"User-Agent": plain})
    assert answer.status_code in (422, 429), answer.status_code
    said = answer.get_data(as_text=True)
    assert "1337" not in said
    assert text not in said or text == html.escape(text), "typed back without escaping"
    assert browser.get(f"/messages/{text}").status_code in (302, 404, 308)
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_brackets_without_end_are_bad_input_not_a_defect(
    app: Flask, cast: Cast, client_for: Callable[[Member], Client]
) -> None:
    patient = client_for(cast.patient)
    deep = b"[" * 100_000
    answer = patient.put(f"/api/conversations/{uuid4()}", data=deep, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)


def test_a_mail_holds_no_name_and_is_not_bent_by_one(cast: Cast, practice: Practice) -> None:
    with cast.system() as work:
        work.asked = work.audited = True
        work.session.get_one(Person, cast.patient.person_id).name = "".join(CORPUS)
        notifications.notify(work, [cast.patient.person_id], "new-message")
    jobs.deliver(practice)
    letters = [place.read_bytes() for place in (practice.settings.data / "outbox").rglob("*") if place.is_file()]
    assert len(letters) == 1
    head = letters[0].partition(b"\n\n")[0]
    names = [line.split(b":")[0].lower() for line in head.splitlines() if not line.startswith((b" ", b"\t"))]
    assert len(names) == len(set(names))
    assert b"bcc" not in names
    assert b"evil" not in letters[0]


@pytest.mark.parametrize("text", CORPUS)
def test_no_such_text_is_taken_for_an_address(text: str) -> None:
    with pytest.raises(Invalid):
        accounts.check_address(f"a@example.org{text}" if "\n" in text else text)


def test_no_statement_and_no_page_is_put_together_from_texts() -> None:
    """The ways in which a text could become a statement or markup do not occur in the source."""
    found = []
    ways = re.compile(r"render_template_string|Markup\(f|\beval\(|\bexec\(|os\.system|shell=True")
    for place in ROOM.rglob("*.py"):
        if "migrations" not in place.parts:
            found += [f"{place.name}: {one}" for one in ways.findall(place.read_text(encoding="utf-8"))]
    for place in (ROOM / "templates").rglob("*.html"):
        found += [f"{place.name}: {one}" for one in re.findall(r"\|\s*safe\b|autoescape\s+false", place.read_text())]
    for place in (ROOM / "static").rglob("*.js"):
        if "dist" not in place.parts and place.name != "trusted.js":
            words = place.read_text(encoding="utf-8")
            found += [f"{place.name}: {one}" for one in MARKUP.findall(words)]
    assert found == []
