"""The documents say what the code does: every name in `docs/protocol.md` exists, and every promised name is there."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest
from flask import Flask
from support.cast import Cast, Client, Member

from telepsych.cli import all_doors
from telepsych.core.errors import Misconfigured, TelepsychError
from telepsych.core.settings import PREFIX, Settings
from telepsych.demo.people import PEOPLE
from telepsych.server import health
from telepsych.visits.states import VisitState
from telepsych.web.live import HINTS

ROOT = Path(__file__).parents[2]
ROOMS = ROOT / "telepsych"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PROTOCOL = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def section(title: str) -> str:
    """A section of the protocol, from its heading to the next of its rank or a higher one."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,3}} |\Z)", PROTOCOL, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    rank, body = found.groups()
    if len(rank) == 2:
        body = PROTOCOL[found.start(2) :].split("\n## ")[0]
    return str(body)


def first_cells(text: str) -> list[str]:
    """The code in the first cell of each row of a section's tables."""
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def examples(title: str) -> list[Any]:
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", section(title), re.DOTALL)]


def doors(kind: str) -> set[str]:
    return {door.name for door in all_doors() if door.kind == kind}


# Settings, commands, routes, events


def settings_table() -> str:
    """What the protocol's table of settings has to be."""
    rows = ["| environment | in `telepsych.toml` | default | meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        given = "" if field.is_required() or field.default in ("", None, ()) else json.dumps(field.default)
        in_file = "" if name == "data" else f"`{name}`"
        default = "`data`" if name == "data" else f"`{given}`" if given else "none"
        rows.append(f"| `{PREFIX}{name.upper()}` | {in_file} | {default} | {field.description} |")
    return "\n".join(rows)


def test_every_setting_is_documented_as_it_is_declared() -> None:
    table = PROTOCOL.split("<!-- settings -->\n")[1].split("\n<!-- /settings -->")[0]
    assert table == settings_table()


def test_every_setting_is_explained() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_command_is_documented_and_no_other() -> None:
    assert first_cells(section("Command line")) == list(dict.fromkeys(first_cells(section("Command line"))))
    assert set(first_cells(section("Command line"))) == {f"telepsych {name}" for name in doors("command")}


def test_every_api_route_is_documented_and_no_other() -> None:
    routes = {name for name in doors("route") if name.split()[1].startswith("/api/")}
    assert set(first_cells(section("JSON"))) == routes
    headings = set(re.findall(r"^### `([^`]+)`", section("JSON"), re.MULTILINE))
    assert headings <= routes
    assert {name for name in routes if not name.endswith("/drafts/<place>")} <= headings


def test_health_and_sign_in_are_where_the_protocol_says() -> None:
    told = {*first_cells(section("Health")), *first_cells(section("Signing in"))}
    assert len(told) == 12
    assert told <= doors("route")


def test_every_live_event_is_documented_and_no_other() -> None:
    ours, theirs = section("Live").split("| server → client |")
    assert set(first_cells(ours)) == doors("event")
    assert set(first_cells(theirs)) == set(said_to_pages())


def said_to_pages() -> Iterator[str]:
    """What the server says to pages: the hints passed on as they are, and whatever else the code emits."""
    yield from HINTS
    for place in (ROOMS / "web/live.py", *ROOMS.glob("*/events.py")):
        yield from re.findall(r'\bemit(?:_to\w*)?\([^"\n]*"([a-z:-]+)"', place.read_text(encoding="utf-8"))


def test_states_of_a_visit_are_all_named() -> None:
    line = section("Live").split("A visit's states: ")[1]
    assert re.findall(r"`([\w-]+)`", line) == [state.value for state in VisitState]


def test_every_kind_of_error_is_documented() -> None:
    told = dict(re.findall(r"^\| `([\w-]+)` \| (\d+) \|", section("Errors"), re.MULTILINE))
    family = {TelepsychError, *TelepsychError.__subclasses__()} - {Misconfigured}
    assert told == {error.kind: str(error.status) for error in family}


def test_the_parts_that_may_not_be_ready() -> None:
    told = set(re.findall(r"`(\w+)`", section("Health").split("with any of ")[1].split("|")[0]))
    assert told == {
        check.__name__.lstrip("_") for check in (health._records, health._keystore, health._bus, health._worker)
    }


def test_the_demo_has_the_accounts_it_is_said_to_have() -> None:
    numbers = {1: "one", 2: "two"}
    roles = [one.role for one in PEOPLE]
    told = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", section("The demo's accounts"), re.MULTILINE))
    assert told == {role: numbers[roles.count(role)] for role in roles}


# The shapes of JSON, asked of the running pages


def shape(value: Any) -> Any:
    """The names in a JSON value, without what they hold."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return [shape(one) for one in value] if isinstance(value, list) else None


def test_messages_are_answered_as_documented(cast: Cast, client_for: Callable[[Member], Client]) -> None:
    patient, staff = client_for(cast.patient), client_for(cast.staff)
    where = f"/api/conversations/{uuid4()}"
    asked, opened = examples("`PUT /api/conversations/<conversation_id>`")
    answer = patient.put(where, json=asked)
    assert (answer.status_code, shape(answer.get_json())) == (201, shape(opened))

    asked, sent = examples("`PUT /api/conversations/<conversation_id>/messages/<client_id>`")
    letter = f"{where}/messages/{uuid4()}"
    answer = patient.put(letter, json=asked)
    said = answer.get_json()
    assert (answer.status_code, set(said), set(said["help"])) == (201, set(sent), set(sent["help"]))
    assert {frozenset(line) for line in said["help"]["lines"]} == {frozenset(sent["help"]["lines"][0])}
    assert patient.put(letter, json=asked).status_code == 200

    (problem,) = examples("Errors")
    answer = patient.put(letter, json={"body": "Something else."})
    assert (answer.status_code, answer.content_type) == (409, "application/problem+json")
    assert (shape(answer.get_json()), answer.get_json()["type"]) == (shape(problem), problem["type"])

    asked, read = examples("`POST /api/conversations/<conversation_id>/read`")
    answer = staff.post(f"{where}/read", json=asked)
    assert (answer.status_code, answer.get_json()) == (200, read)

    (synced,) = examples("`GET /api/conversations/<conversation_id>/sync`")
    answer = patient.get(f"{where}/sync?after=0")
    assert (answer.status_code, shape(answer.get_json())) == (200, shape(synced))
    assert answer.get_json()["up_to"] == synced["up_to"]


def test_drafts_sessions_and_tickets_are_answered_as_documented(
    cast: Cast, client_for: Callable[[Member], Client]
) -> None:
    patient = client_for(cast.patient)
    asked, saved = examples("`PUT /api/drafts/<place>`")
    assert patient.put("/api/drafts/letter", json=asked).get_json() == saved
    assert patient.get("/api/drafts/letter").get_json() == {"fields": asked["fields"]}
    assert patient.delete("/api/drafts/letter").get_json() == {"saved": False}
    (extended,) = examples("`POST /api/session/extend`")
    assert patient.post("/api/session/extend").get_json() == extended
    (ticket,) = examples("`GET /api/live-ticket`")
    assert shape(patient.get("/api/live-ticket").get_json()) == shape(ticket)


def test_signing_in_has_the_labelled_fields(app: Flask, cast: Cast) -> None:
    page = app.test_client().get("/sign-in").get_data(as_text=True)
    for label, name in re.findall(r"<label[^>]*for=\"([\w-]+)\"[^>]*>\s*(Email|Password)\b", page):
        assert f'id="{label}"' in page, name
    assert {"Email", "Password"} <= set(re.findall(r"<label[^>]*>\s*(\w+)", page))
    assert re.search(r'<meta name="csrf-token" content="\w+">', page)


# The documents themselves


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    bad = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not leads_somewhere(page, link)]
    assert bad == []


def leads_somewhere(page: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return link.startswith(("https://", "mailto:"))
    name, _, anchor = unquote(link).partition("#")
    place = (page.parent / name).resolve() if name else page
    return place.exists() and (not anchor or anchor in anchors(place))


def anchors(place: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", place.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:docs|tests|config|telepsych|\.ci)/[\w./-]*)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):(?!=)", MAKEFILE, re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets
    known = {f"{name} " for name in doors("command")}
    typed = re.findall(
        r"(?:`|^)(?:\.venv/bin/|/opt/telepsych/\.venv/bin/)?telepsych ([a-z][^`\n]*)", text, re.MULTILINE
    )
    assert [words for words in typed if not any(f"{words} ".startswith(name) for name in known)] == []


def test_the_public_make_targets_are_documented() -> None:
    assert {"make demo", "make test"} <= set(re.findall(r"^(make \w+)", README, re.MULTILINE))
    public = {f"make {name}" for name in re.findall(r"^([\w-]+):[^\n]*##", MAKEFILE, re.MULTILINE)}
    assert public <= set(first_cells(section("make")))


def test_every_room_has_its_line_and_every_line_its_room() -> None:
    table = ARCHITECTURE.split("| room | keeps and does |")[1].split("\n\n")[0]
    told = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1] if "|" in row else "")
    }
    there = {place.parent.name for place in ROOMS.glob("*/__init__.py")}
    assert told == there
    ladder = ARCHITECTURE.split("```\ncli →")[1].split("```")[0]
    on_it = {"cli", *re.findall(r"\w+", ladder)}
    assert on_it - there == {"cli", "app"}
    assert there - on_it <= {"server", "migrations"}, "only these stand beside the ladder"
