"""Calling every route: what stands for each part of its address, and what is sent with it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from flask import Flask
from werkzeug.routing import Rule

from house.matrix.things import MONDAY, WRITTEN, Things
from house.matrix.world import World
from telepsych.core.ids import new_id
from telepsych.server.permissions import ANY, COMPARTMENTS, Outcome
from telepsych.web import assets

GENERAL = "general"
NOTHING = UUID("01999999-9999-7999-8999-999999999999")
"""An id of the kind we give, of nothing."""
FOREIGN_KINDS = (NOTHING, UUID("00000000-0000-4000-8000-000000000000"))
"""Ids that name nothing, of both kinds: ours, and random ones."""

PARTS: Mapping[str, Callable[[World, Things, str], object]] = {
    "care_team_id": lambda _world, things, _: things.care_team,
    "conversation_id": lambda _world, things, compartment: things.conversation[compartment],
    "decision_id": lambda _world, things, _: things.destruction,
    "factor_id": lambda _world, things, _: things.passkey,
    "glass_id": lambda _world, things, _: things.glass,
    "grant_id": lambda world, _things, _: world.grant,
    "hold_id": lambda _world, things, _: things.hold,
    "medicine_id": lambda _world, things, _: things.medicine,
    "member_id": lambda world, _things, _: world.member,
    "patient_id": lambda _world, things, _: things.patient,
    "person_id": lambda world, _things, _: world.people["colleague"],
    "proxy_id": lambda _world, things, _: things.proxy,
    "monday": lambda _world, _things, _: MONDAY,
    "request_id": lambda _world, things, _: things.wish,
    "review_id": lambda _world, things, _: things.review,
    "rights_request_id": lambda _world, things, _: things.request,
    "response_id": lambda _world, things, compartment: things.response[compartment],
    "session_id": lambda _world, things, _: things.session,
    "supporter_id": lambda _world, things, _: things.supporter,
    "visit_id": lambda _world, things, _: things.visit["live"],
    "worker_session_id": lambda world, _things, _: world.worker_session,
    "work_item_id": lambda _world, things, compartment: things.item[compartment],
    "client_id": lambda _world, _things, _: new_id(),
    "day_text": lambda _world, _things, _: "2026-11-24",
    "item_id": lambda _world, _things, _: "anhedonia",
    "kind": lambda _world, _things, _: "help",
    "medicine_step": lambda _world, things, _: f"{things.medicine}.taking",
    "name": lambda _world, _things, _: assets.url("main.js").rsplit("/", 1)[1],
    "place": lambda _world, _things, _: "letter",
    "step": lambda _world, _things, _: "phone",
}
"""What stands for each part of an address, by the part's name. Records first, then what is no record's id."""
RECORDS = frozenset(name for name in PARTS if name.endswith("_id")) - {"client_id", "item_id"}
IN_COMPARTMENTS = frozenset({"conversation_id", "response_id", "work_item_id"})
RENAMED = {
    "PUT /api/conversations/<conversation_id>": {"conversation_id": "client_id"},
    "/oversight/requests/<request_id>": {"request_id": "rights_request_id"},
    "/records/<patient_id>/requests/<request_id>": {"request_id": "rights_request_id"},
    "/records/<patient_id>/supporters/<proxy_id>": {"proxy_id": "supporter_id"},
    "/people/<person_id>/sessions": {"session_id": "worker_session_id"},
    "/inbox/<item_id>": {"item_id": "work_item_id"},
    "/check-in/<visit_id>/medicines/<step>": {"step": "medicine_step"},
    "/api/check-in/<visit_id>/medicines/<step>": {"step": "medicine_step"},
}
"""Parts that mean something else under an address that starts so."""
SUMMARY = "GET /visits/<visit_id>/summary"
SHOWN = {SUMMARY: WRITTEN}
"""Doors that open to more people than what lies behind them. A page without these words counts as not found."""
VISITS = {
    "POST /visits/<visit_id>/admit": "waiting",
    "POST /visits/<visit_id>/missed": "missed",
    "GET /visits/<visit_id>/close": "ended",
    "POST /visits/<visit_id>/close": "ended",
}
"""How far the visit has come that a door is tried on, where it is not `live`."""
BODIES: Mapping[str, Callable[[World, Things], dict[str, Any]]] = {
    "POST /messages/new": lambda _world, things: {"data": {**_letter(), "about": things.patient}},
    "POST /messages/<conversation_id>": lambda _world, _things: {"data": _letter()},
    "PUT /api/conversations/<conversation_id>": lambda _world, things: {
        "json": {"reason": "something_else", "details": {"about": str(things.patient)}}
    },
    "PUT /api/conversations/<conversation_id>/messages/<client_id>": lambda _world, _things: {
        "json": {"body": "Hello"}
    },
    "POST /api/conversations/<conversation_id>/read": lambda _world, _things: {"json": {"seq": 1}},
    "PUT /api/questionnaires/<response_id>/answers/<item_id>": lambda _w, _t: {"json": {"answer": "not_at_all"}},
    "PUT /api/check-in/<visit_id>/medicines/<step>": lambda _world, _things: {"json": {"answer": "yes"}},
    "PUT /api/drafts/<place>": lambda _world, _things: {"json": {"fields": {"body": "Hello"}}},
    "POST /inbox/<item_id>/assign": lambda world, _things: {"data": {"person": world.people["clinician"]}},
    "POST /inbox/<item_id>/reply": lambda _world, _things: {"data": {**_letter(), "reply": "Hello"}},
    "POST /oversight/old-records": lambda _world, things: {"data": {"patient": things.patient}},
    "POST /visits/<visit_id>/devices": lambda _world, _things: {"json": {"ok": True}},
    "POST /visits/<visit_id>/heartbeat": lambda _world, _things: {"json": {}},
    "GET /patients/<patient_id>/brief": lambda _world, things: {"query_string": {"visit": things.visit["live"]}},
}
"""What is sent to a door, where it wants something before it asks who is there."""


def _letter() -> dict[str, Any]:
    ids = {"conversation_id": new_id(), "client_id": new_id()}
    return {**ids, "reason": "something_else", "body": "Hello"}


@dataclass(frozen=True)
class Door:
    """One method of one route."""

    method: str
    rule: Rule

    @property
    def name(self) -> str:
        return f"{self.method} {self.rule.rule}"

    @cached_property
    def parts(self) -> dict[str, str]:
        """The names of its parts, as `PARTS` knows them."""
        fits = (names for start, names in RENAMED.items() if start == self.name or self.rule.rule.startswith(start))
        renamed = next(fits, {})
        return {part: renamed.get(part, part) for part in self.rule.arguments}

    @property
    def compartments(self) -> tuple[str, ...]:
        """The rows of its class: one for each compartment if what it opens lies in one."""
        split = self.name == SUMMARY or IN_COMPARTMENTS & set(self.parts.values())
        return COMPARTMENTS if split else (ANY,)

    @property
    def has_record(self) -> bool:
        return bool(RECORDS & set(self.parts.values()))

    def address(self, world: World, persona: str, compartment: str) -> str:
        """Where something in the record is that a persona is tried on."""
        things = world.things_for(persona)
        where = GENERAL if compartment == ANY else compartment
        values = {part: str(PARTS[meant](world, things, where)) for part, meant in self.parts.items()}
        if self.name == SUMMARY:
            values["visit_id"] = str(things.summarised[where])
        elif "visit_id" in values:
            values["visit_id"] = str(things.visit[VISITS.get(self.name, "live")])
        return self._build(values)

    def address_of_nothing(self, world: World, persona: str, nothing: UUID) -> str:
        """The same with ids that name nothing."""
        things = world.things_for(persona)
        values = {
            part: str(nothing if meant in RECORDS else PARTS[meant](world, things, GENERAL))
            for part, meant in self.parts.items()
        }
        return self._build(values)

    def _build(self, values: Mapping[str, str]) -> str:
        path = self.rule.rule
        for part, value in values.items():
            path = path.replace(f"<{part}>", value).replace(f"<path:{part}>", value)
        return path


def doors(app: Flask) -> Iterator[Door]:
    """Every method of every route."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Door(method, rule)


@dataclass(frozen=True)
class Answer:
    """What a door said."""

    outcome: str
    """The letter of an `Outcome`, `fresh` where a factor is asked for, or what went wrong."""
    body: str
    done: bool = False
    """Whether it was done, rather than refused for what was typed."""


FAULTS = {"refused": Outcome.REFUSED, "not-found": Outcome.MISSING, "sign-in-needed": Outcome.SIGN_IN}


def ask(world: World, persona: str, door: Door, address: str, *, fresh: bool) -> Answer:
    """Ask as a script of a persona's browser would, so that what is wrong comes in one form. Nothing of it stays."""
    key = world.keys[persona, fresh]
    headers = {"Cookie": key.cookie, "X-CSRF-Token": key.csrf, "Accept": "application/json"}
    sent = BODIES[door.name](world, world.things_for(persona)) if door.name in BODIES else {}
    with world.practice.scene():
        browser = world.app.test_client(use_cookies=False)
        answer = browser.open(address, method=door.method, headers=headers, **sent)
        text = answer.get_data().decode(errors="replace")
    if answer.status_code < 400 or answer.content_type != "application/problem+json":
        defect = answer.status_code >= 500 and door.rule.rule != "/readyz"
        if SHOWN.get(door.name, "") not in text:
            return Answer(Outcome.MISSING, "")
        done = answer.status_code < 400
        return Answer(f"defect {answer.status_code}" if defect else Outcome.ALLOWED, text, done)
    return _problem(json.loads(text))


def _problem(said: dict[str, Any]) -> Answer:
    kind = said["type"].partition("#")[2]
    said.pop("reference")
    if kind == "step-up-needed":
        return Answer("fresh", "")
    if kind in ("error", "unavailable", "too-many"):
        return Answer(f"defect: {kind}", "")
    return Answer(FAULTS.get(kind, Outcome.ALLOWED), json.dumps(said, sort_keys=True))
