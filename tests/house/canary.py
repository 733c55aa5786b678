"""Canaries: texts nobody would write by chance, typed into every field there is and then looked for where none may be.

A board hands them out and keeps the tally of doors, forms and fields; a typist is a browser that types them and
looks, after every answer, at what browsers and proxies keep: addresses, headers, titles, links.
"""

import base64
import json
import math
import random
import re
import string
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from support.cast import Client
from werkzeug.test import TestResponse

from telepsych.core.work import Work
from telepsych.crypto.sealed import registry

NOT_TYPED = frozenset({"hidden", "submit", "button"})
CHOSEN = frozenset({"radio", "checkbox"})
LINKS = re.compile(r'\s(?:href|src|action|formaction|data-[\w-]*url|data-fragment)="([^"]*)"')
TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
BY_NUMBER = ("tel:", "sms:", "mailto:")


@dataclass
class Board:
    """The canaries of one practice share a mark: one look for it finds any of them."""

    mark: str = field(default_factory=lambda: _letters(14))
    named: dict[str, str] = field(default_factory=dict)
    """What was typed, and where."""
    secrets: dict[bytes, str] = field(default_factory=dict)
    """Keys, and tokens that were given out: a token may stand in an answer, and neither anywhere that lasts."""
    offered: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The fields of every form that was shown, by the route it leads to."""
    typed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The fields into which a canary was typed, by route."""
    opened: set[tuple[str, str]] = field(default_factory=set)
    leaks: list[str] = field(default_factory=list)

    def canary(self, place: str) -> str:
        """A new one for a place."""
        text = self.mark + _letters(8)
        self.named[text] = place
        return text

    def notice(self, where: str, text: str) -> None:
        """Remember a leak if there is a canary in the text."""
        found = {form for form, trace in traces(self.mark.encode()).items() if trace in text.encode()}
        self.leaks += [f"{where} ({form})" for form in sorted(found)]

    def untyped(self) -> list[str]:
        """Fields of forms that were shown and never got a canary."""
        return sorted(f"{route}: {name}" for route, names in self.offered.items() for name in names - self.typed[route])

    def hits(self, data: bytes, *, with_secrets: bool = True) -> set[str]:
        """What of this board lies in some bytes, by its place and form."""
        near = _around(data, traces(self.mark.encode()).values())
        named = {text.encode(): place for text, place in self.named.items()}
        found = set(_named_in(near, named)) or ({"a part of a canary"} if near else set())
        return found | (set(_named_in(data, self.secrets)) if with_secrets else set())


def traces(text: bytes) -> dict[str, bytes]:
    """How a text looks in raw, in capitals, in base64 at each of three offsets, in hex and in UTF-16."""
    words = text.decode("latin-1")
    found = {
        "raw": text,
        "capitals": text.upper(),
        "hex": text.hex().encode(),
        "HEX": text.hex().upper().encode(),
        "UTF-16 LE": words.encode("utf-16-le"),
        "UTF-16 BE": words.encode("utf-16-be"),
    }
    for offset in range(3):
        whole = base64.b64encode(bytes(offset) + text)
        found[f"base64 at {offset}"] = whole[math.ceil(offset * 8 / 6) : (offset + len(text)) * 8 // 6]
    return found


def _around(data: bytes, marks: Iterable[bytes]) -> bytes:
    """The places of some bytes where a mark stands, the first hundred."""
    found = []
    for mark in marks:
        at = data.find(mark)
        while at >= 0 and len(found) < 100:
            found.append(data[max(0, at - 8) : at + 64])
            at = data.find(mark, at + 1)
    return b"\n".join(found)


def _named_in(data: bytes, named: Mapping[bytes, str]) -> Iterator[str]:
    for text, place in named.items():
        for form, trace in traces(text).items():
            if trace in data:
                yield f"{place} ({form})"


def _letters(count: int) -> str:
    return "".join(random.SystemRandom().choices(string.ascii_lowercase, k=count))


@dataclass
class Form:
    """A form as a page shows it."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    """What a browser would send if nobody touched it."""
    kinds: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def inputs(self) -> set[str]:
        """What a person fills in."""
        return {name for name, kind in self.kinds.items() if kind not in NOT_TYPED}


class _Forms(HTMLParser):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path, self.found = path, list[Form]()
        self._open: Form | None = None
        self._select = ""
        self._named: dict[str, Form] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(given.get("action") or self.path, given.get("method", "get").upper())
            self._named[given.get("id", "")] = self._open
            self.found.append(self._open)
        elif tag == "option":
            self._option(given)
        elif tag in ("input", "textarea", "select", "button"):
            self._control(tag, given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None

    def _control(self, tag: str, given: dict[str, str]) -> None:
        form = self._named.get(given["form"]) if "form" in given else self._open
        name = given.get("name", "")
        if form is None or not name or "disabled" in given:
            return
        kind = given.get("type", "text") if tag == "input" else {"button": "submit"}.get(tag, tag)
        self._select = name if tag == "select" else ""
        form.kinds.setdefault(name, kind)
        if kind in CHOSEN:
            form.choices[name].append(given.get("value", "on"))
            if "checked" not in given:
                return
        if kind != "submit":
            form.fields[name] = given.get("value", "")

    def _option(self, given: dict[str, str]) -> None:
        if self._open is not None and self._select:
            self._open.choices[self._select].append(given.get("value", ""))
            if "selected" in given:
                self._open.fields[self._select] = given.get("value", "")


@dataclass
class Typist:
    """Somebody at a browser."""

    board: Board
    app: Flask
    http: FlaskClient
    token: str = ""
    page: str = ""
    """The last page that `go` came to."""

    @classmethod
    def of(cls, board: Board, app: Flask, client: Client) -> "Typist":
        """Somebody of the cast who is signed in."""
        return cls(board, app, client.http, client.token)

    def keep_secret(self, what: str) -> None:
        """The session token of this browser is to be looked for as well."""
        cookie = self.http.get_cookie("telepsych-session")
        assert cookie is not None
        self.board.secrets[cookie.value.encode()] = what

    def get(self, path: str, status: int = 200) -> str:
        """A page."""
        answer = self.open("GET", path)
        assert answer.status_code == status, f"{path}: {answer.status_code}"
        return answer.get_data(as_text=True)

    def go(self, path: str) -> str:
        """Where an address leads in the end."""
        while (answer := self.open("GET", path)).status_code in (302, 303):
            path = answer.headers["Location"]
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        self.page = answer.get_data(as_text=True)
        return path

    def send(self, path: str, status: int = 303, **fields: Any) -> TestResponse:
        """What a form of these fields is answered with."""
        answer = self.open("POST", path, data=fields)
        assert answer.status_code == status, f"{path}: {answer.status_code} {_faults(answer)}"
        return answer

    def say(self, method: str, path: str, status: int, body: Any) -> Any:
        """What a script gets for some JSON."""
        answer = self.open(method, path, json=body)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.get_data(as_text=True)}"
        return answer.get_json(silent=True)

    def spoil(self, path: str) -> None:
        """Type a canary into every field of every form of a page, then into the hidden ones as well."""
        for form in forms_in(self.get(path), path):
            if form.method != "POST" or not form.inputs:
                continue
            for names in (form.inputs, set(form.kinds) - {"csrf_token"}):
                wrong = {name: self.board.canary(f"{form.action} {name}") for name in sorted(names)}
                kept = {name: value for name, value in form.fields.items() if name not in names}
                answer = self.open("POST", form.action, data=kept | wrong)
                assert answer.status_code < 500, f"{form.action}: {answer.status_code}"

    def open(self, method: str, path: str, **more: Any) -> TestResponse:
        """Ask for something, and look at everything in the answer that outlives the page."""
        headers = {"X-CSRF-Token": self.token, **more.pop("headers", {})} if method != "GET" else {}
        self.board.notice(f"the address {method} {path}", path)
        answer = self.http.open(path, method=method, headers=headers, **more)
        where = self._note(method, path, more.get("data") or more.get("json") or {})
        self.board.notice(f"a header of {where}", str(answer.headers))
        if "html" in answer.content_type:
            self._look(where, path, answer.get_data(as_text=True))
        return answer

    def _note(self, method: str, path: str, sent: Any) -> str:
        rule, _ = self.app.url_map.bind("localhost").match(path.split("?")[0], method=method, return_rule=True)
        if self.board.mark in json.dumps(sent, default=str):
            self.board.opened.add((method, rule.rule))
        for name, value in sent.items() if isinstance(sent, dict) else ():
            if self.board.mark in json.dumps(value, default=str):
                self.board.typed[rule.rule].add(name)
        return f"{method} {rule.rule}"

    def _look(self, where: str, path: str, html: str) -> None:
        for title in TITLE.findall(html):
            self.board.notice(f"the title of {where}", title)
        for link in LINKS.findall(html):
            if not link.startswith(BY_NUMBER):
                self.board.notice(f"a link of {where}", link)
        for form in forms_in(html, path):
            if form.method == "POST":
                routes = self.app.url_map.bind("localhost")
                rule, _ = routes.match(form.action.split("?")[0], method="POST", return_rule=True)
                self.board.offered[rule.rule] |= form.inputs
            elif {kind for kind in form.kinds.values()} & {"text", "textarea", "search", "email", "tel"}:
                self.board.leaks.append(f"a text of {where} would be sent in an address")


def forms_in(html: str, path: str) -> list[Form]:
    """The forms of a page."""
    parser = _Forms(path)
    parser.feed(html)
    return parser.found


def _faults(answer: TestResponse) -> str:
    text = answer.get_data(as_text=True)
    return " ".join(re.findall(r'class="field__error"[^>]*>([^<]*)<', text)) or re.sub(r"<[^>]+>|\s+", " ", text)[:2000]


def sealed_values(work: Work) -> Iterator[tuple[str, Any, Any]]:
    """Every sealed field of every row, with its value and what it holds when nobody has written it."""
    for model, names in registry():
        for row in work.session.scalars(select(model)):
            for name in names:
                yield f"{model.__name__}.{name}", getattr(row, name), getattr(model, name).default


def files_under(folder: Path) -> Iterable[tuple[str, bytes]]:
    """Every file of a folder as it is now. In a letter, the line that says to whom it goes is left out."""
    for place in sorted(folder.rglob("*")):
        if place.is_file() and not place.is_symlink():
            data = place.read_bytes()
            yield (
                str(place.relative_to(folder)),
                re.sub(rb"(?m)^To: .*$", b"", data) if place.suffix == ".eml" else data,
            )
