"""No word about anybody lies anywhere in clear: every field there is gets a canary, and then everything is searched.

What has to be typed comes from the sealed-field registry, from the routes and from the forms that pages show, so that
nothing new is left out unawares.
"""

import base64
import json
import logging
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg
import pytest
from flask import Flask, request
from support.cast import Cast
from support.practice import mark_head

from house.canary import Board, Typist, files_under, sealed_values, traces
from house.canary_story import ACTS, ClientFor, Story, everybody_leaves, provoke_defects, refuse_everything
from telepsych.core.work import Practice
from telepsych.crypto import recovery, recovery_wraps
from telepsych.crypto.sealed import registry
from telepsych.server.backups import making
from telepsych.server.backups.places import Places

CLOSED = frozenset(
    {
        "Proxy.authority",
        "Proxy.parts",
        "SupporterRequest.parts",
        "ChecklistDecision.level",
        "ChecklistDecision.reason_code",
        "ChecklistDecision.recommended",
        "ConsentSignature.answers",
        "ConsentSignature.capacity",
        "ConsentSignature.text",
        "Conversation.reason",
        "EvaluationSnapshot.result",
        "Fact.code",
        "Factor.details",
        "Factor.secret",
        "Fact.source",
        "MedicationCheckIn.alerts",
        "MedicationCheckIn.answers",
        "MedicationCheckIn.history",
        "Message.help",
        "Patient.birth_date",
        "PatientMedicine.medicine_id",
        "Response.age",
        "Response.answers",
        "Response.history",
        "Response.safety",
        "Response.score",
        "SignInSession.device",
        "TaskTick.task",
        "BreakGlass.ground",
        "Destruction.basis",
        "Patient.died_on",
        "RightsRequest.kind",
        "RightsRequest.rule",
        "Visit.admitted",
        "Visit.telemetry",
        "VisitHeartbeat.figures",
        "WeekLine.entries",
        "WeekLine.kind",
        "WeekLine.patients",
        "WorkItem.disposition",
    }
)
"""Fields that take no free text: chosen from a list, worked out, or a date. Here any value counts."""
NO_DOOR_YET: frozenset[str] = frozenset()
"""Fields that nothing writes. As soon as something does, the test asks for a canary in it."""

Hits = dict[str, set[str]]
"""What was found, by where it lies."""


class Journal(logging.FileHandler):
    """A log that is written out once, at the end: thousands of lines come fast."""

    def flush(self) -> None:
        """Nothing between."""


@pytest.fixture(autouse=True)
def journal(tmp_path: Path) -> Iterator[Path]:
    """Everything any library logs at its most talkative, from before the databases are opened."""
    place = tmp_path / "journal" / "everything.log"
    place.parent.mkdir()
    handler = Journal(place, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s %(pathname)s"))
    root, others = logging.getLogger(), list(logging.getLogger().handlers)
    named = [one for one in logging.Logger.manager.loggerDict.values() if isinstance(one, logging.Logger) and one.level]
    before = [(one, one.level) for one in (root, *named, *others)]
    for one, _ in before:
        one.setLevel(logging.WARNING if one in others else logging.DEBUG)
    root.addHandler(handler)
    yield place
    root.removeHandler(handler)
    for one, level in before:
        one.setLevel(level)
    handler.close()


@pytest.fixture(autouse=True)
def scraps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary files are made where they are found again."""
    place = tmp_path / "scraps"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def since(practice: Practice) -> str:
    """How far the database server's log had come before anything was typed."""
    return log_place(practice)


@pytest.fixture
def story(app: Flask, practice: Practice, cast: Cast, client_for: ClientFor) -> Story:
    return Story.begin(app, practice, cast, client_for)


def test_no_word_about_anybody_lies_anywhere_in_clear(
    since: str,
    story: Story,
    tmp_path: Path,
    journal: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert "InternalNote.body" in unexercised(story)
    for act in ACTS:
        act(story)
    provoke_defects(story, monkeypatch)
    refuse_everything(story)
    everybody_leaves(story)
    back_up(story.practice, tmp_path / "volumes")
    said = capfd.readouterr()
    story.board.notice("standard output", said.out)
    story.board.notice("standard error", said.err)

    assert unexercised(story) == []
    assert story.board.untyped() == [], "\n".join(story.board.untyped())
    assert unopened(story) == [], "\n".join(unopened(story))
    assert story.board.leaks == []
    written = written_out(journal)
    assert "INSERT INTO message" in written
    assert "defect" in written
    assert list((tmp_path / "outbox").glob("*.eml"))

    for secret, what in root_secrets(story.practice):
        story.board.secrets[secret] = what
    control = Board()
    plant(story.practice, control, tmp_path)
    found, caught = search(story.board, control, everything(story.practice, tmp_path, since))
    assert found == {}
    assert caught["scraps/scrap.txt"] == {"a scrap of paper (base64 at 0)"}
    lies_in = {place.split("/")[0] for place, hits in caught.items() if "a scratch table (raw)" in hits}
    assert lies_in == ({"records"} if story.practice.records.dialect.name == "sqlite" else {"dump", "base", "pg_wal"})


@pytest.mark.parametrize("form", sorted(traces(b"")))
def test_a_canary_is_known_again_in_every_form(form: str) -> None:
    board = Board()
    text = f"{'x' * int(form[-1]) if form.startswith('base64') else ''}{board.canary('here')}, she said"
    written = {
        "raw": text.encode(),
        "capitals": text.upper().encode(),
        "hex": text.encode().hex().encode(),
        "HEX": text.encode().hex().upper().encode(),
        "UTF-16 LE": text.encode("utf-16-le"),
        "UTF-16 BE": text.encode("utf-16-be"),
    }.get(form, base64.b64encode(text.encode()))
    assert f"here ({form})" in board.hits(b"before" + written + b"after")
    assert not Board().hits(written)


def test_a_canary_in_a_header_a_title_or_a_link_is_noticed_and_so_is_a_field_left_out() -> None:
    app, board = Flask("careless"), Board()

    @app.post("/")
    def careless() -> tuple[str, int, dict[str, str]]:
        name = request.form["name"]
        page = f'<title>{name}</title><a href="/?{name}"></a><form method="post" action="/"><input name="other"></form>'
        return page, 303, {"Location": f"/?name={name}"}

    Typist(board, app, app.test_client()).open("POST", "/", data={"name": board.canary("name")})
    assert board.leaks == [f"{what} of POST / (raw)" for what in ("a header", "the title", "a link")]
    assert board.untyped() == ["/: other"]


def written_out(journal: Path) -> str:
    for handler in logging.getLogger().handlers:
        if isinstance(handler, Journal):
            handler.stream.flush()
    return journal.read_text(encoding="utf-8")


# What has to be exercised


def unexercised(story: Story) -> list[str]:
    """Sealed fields that hold no canary in any row, or where they take no free text, nothing anybody gave."""
    with story.cast.system(writes=False) as work:
        work.asked = True
        values = list(sealed_values(work))
    typed = {place for place, value, _ in values if story.board.mark in str(value).casefold()}
    given = {place for place, value, default in values if value != default}
    known = {f"{model.__name__}.{name}" for model, names in registry() for name in names}
    needed = {place: place in (given if place in CLOSED else typed) for place in known - NO_DOOR_YET}
    surprises = (given & NO_DOOR_YET) | ((CLOSED | NO_DOOR_YET) - known)
    return sorted({place for place, done in needed.items() if not done} | surprises)


def unopened(story: Story) -> list[str]:
    """Doors that take something and were never handed a canary."""
    every = {
        (method, rule.rule)
        for rule in story.app.url_map.iter_rules()
        for method in (rule.methods or set()) & {"POST", "PUT", "PATCH"}
    }
    return sorted(f"{method} {rule}" for method, rule in every - story.board.opened)


# The search


def back_up(practice: Practice, volumes: Path) -> None:
    """Leave a recovery key and a backup behind, to be searched with everything else."""
    mark_head(practice)
    recovery_wraps.install(practice.vault, recovery.new_recovery_key()[0])
    making.make(practice, Places(*(volumes / part for part in ("a", "b", "c"))))


def plant(practice: Practice, control: Board, folder: Path) -> None:
    """What the search must find: a word in a table, and one in base64 in a file."""
    with practice.records.execution_options(telepsych_writes=True).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE scratch (said TEXT)")
        connection.exec_driver_sql(f"INSERT INTO scratch VALUES ('{control.canary('a scratch table')}')")
    scrap = control.canary("a scrap of paper").encode()
    (folder / "scraps" / "scrap.txt").write_bytes(base64.b64encode(scrap))


def root_secrets(practice: Practice) -> Iterator[tuple[bytes, str]]:
    """What every other key hangs on. It may lie in the keyring alone."""
    kept = json.loads(practice.settings.keyring_file.read_text(encoding="utf-8"))
    yield base64.b64decode(kept["derivation"]), "the secret of all derived keys"
    for key in kept["keys"]:
        yield base64.b64decode(key["material"]), "a root key"


def search(board: Board, control: Board, files: Iterable[tuple[str, bytes]]) -> tuple[Hits, Hits]:
    """Where which canaries lie, of the story and of the control. Keys may stand in the keyring."""
    found, caught = Hits(), Hits()
    for place, data in files:
        found[place] = board.hits(data, with_secrets=not place.startswith("keys/"))
        caught[place] = control.hits(data)
    return tuple({place: hits for place, hits in all_of.items() if hits} for all_of in (found, caught))


def everything(practice: Practice, folder: Path, since: str) -> Iterator[tuple[str, bytes]]:
    """All that is written anywhere, while the databases are open."""
    needed = {"journal/everything.log", "keys/keyring.json", "scraps/scrap.txt"}
    if practice.records.dialect.name == "postgresql":
        yield from cluster_files(practice, since)
    else:
        needed |= {"keystore/keystore.sqlite", *(f"records/records.sqlite{end}" for end in ("", "-wal", "-shm"))}
    for place, data in files_under(folder):
        needed.discard(place)
        yield place, data
    assert not needed


def log_place(practice: Practice) -> str:
    """How far PostgreSQL's write-ahead log has come; empty for SQLite."""
    if practice.records.dialect.name != "postgresql":
        return ""
    with admin(practice) as connection:
        return str(connection.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()[0])  # type: ignore[index]


def admin(practice: Practice) -> psycopg.Connection:
    address = practice.records.url
    return psycopg.connect(host=str(address.query["host"]), user="postgres", dbname=address.database, autocommit=True)


def cluster_files(practice: Practice, since: str) -> Iterator[tuple[str, bytes]]:
    """A dump of the database, its data files after a checkpoint, and the write-ahead log since the story began."""
    address = practice.records.url
    host, name = str(address.query["host"]), str(address.database)
    dump = [sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1] / "pg_dump", "-h", host, "-U", "postgres", name]
    yield "dump", subprocess.run(dump, check=True, stdout=subprocess.PIPE).stdout
    with admin(practice) as connection:
        connection.execute("CHECKPOINT")
        oid = connection.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
    assert oid
    after = log_place(practice)
    for place, data in files_under(Path(host) / "data" / "base" / str(oid[0])):
        yield f"base/{place}", data
    for segment in sorted((Path(host) / "data" / "pg_wal").iterdir()):
        if segment.is_file() and since <= segment.name <= after:
            yield f"pg_wal/{segment.name}", segment.read_bytes()
