"""What browsers report about the content policy is counted, and nothing that was on the page is kept."""

import json
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select
from support.cast import Cast

from telepsych.core.actor import system
from telepsych.core.clock import DAY
from telepsych.core.work import Practice
from telepsych.web import reports
from telepsych.web.models import PolicyReport

SECRET = "Juniper%20Example"


def old_form(path: str, blocked: str = "inline", directive: str = "script-src-elem") -> bytes:
    body = {"document-uri": f"http://localhost{path}", "blocked-uri": blocked, "effective-directive": directive}
    return json.dumps({"csp-report": {**body, "script-sample": SECRET, "referrer": SECRET}}).encode()


def kept(practice: Practice) -> list[tuple[str, str, str, int]]:
    with practice.begin(system("test"), writes=False, public="test") as work:
        rows = work.session.scalars(select(PolicyReport).order_by(PolicyReport.page, PolicyReport.stopped))
        return [(row.directive, row.page, row.stopped, row.count) for row in rows]


def test_both_forms_are_counted_by_kind(app: Flask, practice: Practice) -> None:
    browser, conversation = app.test_client(), f"/messages/{uuid4()}?name={SECRET}"
    for _ in range(3):
        sent = browser.post("/csp-reports", data=old_form(conversation), content_type="application/csp-report")
        assert sent.status_code == 204
    new = {
        "type": "csp-violation",
        "body": {"documentURL": "http://localhost/sign-in", "effectiveDirective": "img-src"},
    }
    new["body"] |= {"blockedURL": f"https://evil.example/{SECRET}", "sample": SECRET}  # type: ignore[operator]
    browser.post("/csp-reports", data=json.dumps([new]), content_type="application/reports+json")
    found = kept(practice)
    assert [(*one[:1], *one[2:]) for one in found] == [
        ("script-src-elem", "inline", 3),
        ("img-src", "https address", 1),
    ]
    assert "<" in found[0][1]
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"[1, null]",
        b'{"csp-report": 3}',
        old_form("/", directive="\r\nnothing"),
        b"\xff",
        b"[" * 5_000,
    ],
)
def test_what_is_no_report_is_answered_and_forgotten(app: Flask, practice: Practice, body: bytes) -> None:
    assert app.test_client().post("/csp-reports", data=body, content_type="application/csp-report").status_code == 204
    assert kept(practice) == []


def test_a_client_that_invents_kinds_is_not_heard_for_ever(
    app: Flask, practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MOST_KINDS", 4)
    browser = app.test_client()
    for directive in sorted(reports.DIRECTIVES):
        browser.post("/csp-reports", data=old_form("/", directive=directive), content_type="application/csp-report")
    assert len(kept(practice)) == 4


def test_counts_are_dropped_after_thirty_days(app: Flask, practice: Practice) -> None:
    app.test_client().post("/csp-reports", data=old_form("/sign-in"), content_type="application/csp-report")
    practice.clock.move(31 * DAY)  # type: ignore[attr-defined]
    with practice.begin(system("test"), public="test") as work:
        reports.drop_old(work)
    assert kept(practice) == []


def test_every_page_says_where_to_report_and_takes_no_text_for_a_script(app: Flask, cast: Cast) -> None:
    answer = app.test_client().get("/sign-in")
    policy = answer.headers["Content-Security-Policy"]
    assert "require-trusted-types-for 'script'; trusted-types telepsych" in policy
    assert "report-uri /csp-reports" in policy
    assert answer.headers["Reporting-Endpoints"] == 'telepsych="/csp-reports"'
