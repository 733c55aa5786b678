"""Whoever opens a part of a patient's record leaves an entry: every page of the fictional practice is opened in turn.

What a page opens is seen at the vault; what it leaves is read from the trail by the request's id.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from sqlalchemy import select
from support.cast import Client, Member
from werkzeug.test import TestResponse

from telepsych import app as rooms
from telepsych.accounts.models import Person
from telepsych.audit.models import AuditRow
from telepsych.core.actor import command
from telepsych.core.work import Practice
from telepsych.crypto import vault as vaults
from telepsych.crypto.scopes import Scope
from telepsych.demo.seed import seed
from telepsych.messaging import views as messaging_views
from telepsych.oversight import due, reviews
from telepsych.patients import service as patients

LINK = re.compile(r'href="(/[^"#]*)')
QUIET = frozenset({"/sign-out"})


def kind(path: str) -> str:
    """A page's address without the ids in it."""
    return re.sub(r"[0-9a-f-]{36}|\d{4}-\d\d-\d\d", "<id>", path.partition("?")[0])


def pages_of(client: Client) -> Iterator[tuple[str, TestResponse]]:
    """The pages that somebody can reach by following links from their first one, one of each kind."""
    waiting, known = ["/"], set(QUIET)
    while waiting:
        path = waiting.pop(0)
        if kind(path) in known or path.startswith("/static/"):
            continue
        known.add(kind(path))
        answer = client.get(path)
        yield path, answer
        onward = [answer.location] if answer.location else LINK.findall(answer.get_data(as_text=True))
        waiting.extend(link.replace("&amp;", "&") for link in onward)


def people(practice: Practice) -> list[Member]:
    with practice.begin(command("test"), writes=False, public="test") as work:
        return [Member(practice, one.name, one.id) for one in work.session.scalars(select(Person).order_by(Person.id))]


class Watch:
    """What is opened of whose record, but for what is no look at one: who is asking, for whom they may ask, and how
    much waits until when (the lists of what is due name no patient)."""

    ASIDE = (
        (patients, "actor_for"),
        (messaging_views, "_people"),
        (due, "waiting"),
        (due, "due"),
        (reviews, "listed"),
    )

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened: dict[UUID, set[str]] = defaultdict(set)
        self._looking = True
        really_open = vaults.Vault.open

        def open_and_note(vault: vaults.Vault, scope: Scope, table: str, *rest: object) -> bytes:
            if scope.kind == "patient" and self._looking:
                self.opened[scope.owner].add(table)
            return really_open(vault, scope, table, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(vaults.Vault, "open", open_and_note)
        for place, name in self.ASIDE:
            monkeypatch.setattr(place, name, self._aside(getattr(place, name)))
        names_for_the_frame = rooms._names_of
        monkeypatch.setattr(rooms, "_names_of", lambda practice: self._aside(names_for_the_frame(practice)))

    def _aside(self, function: Callable[..., object]) -> Callable[..., object]:
        def quietly(*given: object, **named: object) -> object:
            before, self._looking = self._looking, False
            try:
                return function(*given, **named)
            finally:
                self._looking = before

        return quietly


@pytest.mark.parametrize("template", ["sqlite"], indirect=True)
def test_every_page_that_opens_a_record_leaves_an_entry(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    seed(practice)
    opened = Watch(monkeypatch).opened
    app = rooms.create_app(practice=practice)
    silent, visited = [], 0
    for who in people(practice):
        client = Client(app, practice, who)
        opened.clear()
        for path, answer in pages_of(client):
            unlogged = opened.keys() - logged(practice, answer.headers["X-Request-Id"])
            visited += 1
            silent.extend(f"{kind(path)} opened {sorted(opened[one])} of {who.name}'s" for one in unlogged)
            opened.clear()
    assert visited > 50
    assert not silent, "\n".join(sorted(set(silent)))


def logged(practice: Practice, request_id: str) -> set[UUID]:
    with practice.begin(command("test"), writes=False, public="test") as work:
        rows = select(AuditRow.patient_id).where(AuditRow.request_id == request_id, AuditRow.patient_id.is_not(None))
        return set(work.session.scalars(rows))
