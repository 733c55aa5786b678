"""Guards over every door of the app: who may open it, what every response carries, and what no browser shows."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from flask import Flask
from support.cast import Cast, Client, Member
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from telepsych.web.csrf import OF_THE_BROWSER

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
WORKFORCE_ONLY = ("/patients", "/inbox")


def address(app: Flask, rule: Rule) -> str:
    """An address of the rule whose ids name nothing."""
    with app.test_request_context():
        values = {name: str(uuid4()) for name in rule.arguments}
        return str(app.url_map.bind("localhost").build(rule.endpoint, values, force_external=False))


def doors(app: Flask) -> list[tuple[str, Rule]]:
    return [
        (method, rule)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def check_headers(answer: TestResponse, where: str) -> None:
    for name, value in HEADERS.items():
        assert answer.headers.get(name) == value, f"{where}: {name}"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy, where
    assert "unsafe" not in policy, where
    assert "frame-ancestors 'none'" in policy, where
    assert answer.headers.get("Cache-Control"), where


def test_every_route_says_who_may_open_it(app: Flask) -> None:
    silent = [
        str(rule) for _, rule in doors(app) if not getattr(app.view_functions[rule.endpoint], "telepsych_policy", "")
    ]
    assert silent == []


def test_a_stranger_is_sent_to_sign_in_and_every_answer_carries_the_headers(app: Flask, cast: Cast) -> None:
    """H8 over every route, and nothing but what is public opens without a session."""
    browser = app.test_client()
    token = ""
    page = browser.get("/sign-in").get_data(as_text=True)
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    for method, rule in doors(app):
        where = f"{method} {rule}"
        answer = browser.open(address(app, rule), method=method, headers={"X-CSRF-Token": token})
        check_headers(answer, where)
        policy = app.view_functions[rule.endpoint].__dict__["telepsych_policy"]
        if policy.startswith("public"):
            assert answer.status_code < 500 or rule.rule == "/readyz", where  # no worker runs here
        elif rule.rule.startswith("/api/"):
            assert answer.status_code == 401, where
            assert answer.content_type == "application/problem+json", where
        else:
            assert (answer.status_code, answer.location.split("?")[0]) == (302, "/sign-in"), where


@pytest.mark.parametrize("path", ["/no-such-page", "/static/manifest.json", "/static/../app.py", "/api/no-such-thing"])
def test_what_is_not_there_says_so_kindly(app: Flask, cast: Cast, path: str) -> None:
    answer = app.test_client().get(path)
    assert answer.status_code == 404
    check_headers(answer, path)


def test_unsafe_requests_need_the_token(app: Flask, cast: Cast, client_for: Callable[[Member], Client]) -> None:
    """A14 over every unsafe route."""
    client = client_for(cast.manager)
    for method, rule in doors(app):
        if method != "GET" and rule.endpoint not in OF_THE_BROWSER:
            answer = client.http.open(address(app, rule), method=method)
            assert answer.status_code == 403, f"{method} {rule}"


def test_a_foreign_id_looks_like_one_that_is_not_there(
    app: Flask, cast: Cast, client_for: Callable[[Member], Client]
) -> None:
    """Ids that name nothing never end in a defect, whoever asks."""
    for who in cast.everybody():
        client = client_for(who)
        for method, rule in doors(app):
            if rule.arguments and method == "GET" and rule.endpoint != "static.built":
                answer = client.get(address(app, rule))
                assert answer.status_code in (200, 302, 303, 403, 404), f"{who.name} {rule}: {answer.status_code}"
                if answer.status_code == 200:
                    assert rule.rule.startswith(("/api/drafts/",)), f"{who.name} {rule}"


def test_titles_and_addresses_name_nobody(app: Flask, cast: Cast, client_for: Callable[[Member], Client]) -> None:
    """H11 for what a browser's history keeps."""
    for who in cast.everybody():
        client = client_for(who)
        for rule in app.url_map.iter_rules():
            if rule.arguments or "GET" not in (rule.methods or ()):
                continue
            answer = client.get(rule.rule)
            if answer.status_code != 200 or "text/html" not in answer.content_type:
                continue
            page = answer.get_data(as_text=True)
            title = page.split("<title>")[1].split("</title>")[0] if "<title>" in page else ""
            for member in cast.everybody():
                assert member.name.split()[0] not in title, f"{rule}: {title}"
