"""Puts the practice together: databases, keys, subscribers, pages and sockets.

With the command line, the only file that knows every room.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from flask import Blueprint, Flask, redirect, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from telepsych.accounts import device_views, hours_views, people_views, security_views, step_up_views
from telepsych.accounts import service as accounts
from telepsych.accounts import views as accounts_views
from telepsych.accounts.models import Person
from telepsych.appropriateness import subscribers as appropriateness_subscribers
from telepsych.appropriateness import views as appropriateness_views
from telepsych.core.actor import Actor
from telepsych.core.clock import SystemClock
from telepsych.core.database import WriteLock, open_engine
from telepsych.core.errors import Refused
from telepsych.core.settings import Settings
from telepsych.core.work import Practice, Subscriber, Work
from telepsych.crypto.vault import open_vault
from telepsych.home import inbox
from telepsych.home import views as home_views
from telepsych.medications import views as medications_views
from telepsych.messaging import views as messaging_views
from telepsych.notifications import subscribers as notifications_subscribers
from telepsych.oversight import due as oversight_due
from telepsych.oversight import hold_views, old_record_views, record_views
from telepsych.oversight import policy as oversight_policy
from telepsych.oversight import subscribers as oversight_subscribers
from telepsych.oversight import views as oversight_views
from telepsych.patients import break_glass, glass_views, leaving_views, recovery_views, relation_views, sight_views
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients
from telepsych.patients import subscribers as patients_subscribers
from telepsych.patients import views as patients_views
from telepsych.questionnaires import views as questionnaires_views
from telepsych.scheduling import subscribers as scheduling_subscribers
from telepsych.scheduling import views as scheduling_views
from telepsych.server import views as health
from telepsych.server import witness_views
from telepsych.triage import leaving as triage_leaving
from telepsych.triage import service as triage
from telepsych.triage import subscribers as triage_subscribers
from telepsych.triage.content import crisis
from telepsych.visits import subscribers as visits_subscribers
from telepsych.visits import views as visits_views
from telepsych.web import csrf, drafts, errors, floods, headers, live, live_ticket, pages, reports
from telepsych.web.bus import bus_for
from telepsych.web.doors import Web, attach
from telepsych.web.live_ticket import LOOPBACK
from telepsych.web.models import SignInSession

BLUEPRINTS: tuple[Blueprint, ...] = (
    health.bp,
    witness_views.bp,
    accounts_views.bp,
    security_views.bp,
    step_up_views.bp,
    device_views.bp,
    people_views.bp,
    hours_views.bp,
    drafts.bp,
    reports.bp,
    live_ticket.live_bp,
    patients_views.bp,
    leaving_views.bp,
    relation_views.bp,
    sight_views.bp,
    recovery_views.bp,
    scheduling_views.bp,
    questionnaires_views.bp,
    medications_views.bp,
    messaging_views.bp,
    appropriateness_views.bp,
    visits_views.bp,
    glass_views.bp,
    oversight_views.bp,
    record_views.bp,
    hold_views.bp,
    old_record_views.bp,
    home_views.bp,
    inbox.bp,
)
SUBSCRIBERS: tuple[Mapping[str, Subscriber], ...] = (
    patients_subscribers.SUBSCRIBERS,
    notifications_subscribers.SUBSCRIBERS,
    triage_leaving.SUBSCRIBERS,
    triage_subscribers.SUBSCRIBERS,
    scheduling_subscribers.SUBSCRIBERS,
    visits_subscribers.SUBSCRIBERS,
    appropriateness_subscribers.SUBSCRIBERS,
    oversight_subscribers.SUBSCRIBERS,
)
EVENTS = ("visits.events",)
"""Rooms with socket events; they register when they are imported, which only the live group does."""
LARGEST_REQUEST = 500 * 1024
"""Werkzeug moves a part of a form that is longer than this to a temporary file, in clear: none gets so far."""
HERE = Path(__file__).parent


def open_practice(settings: Settings) -> Practice:
    """The running practice. Raises `Misconfigured` when keys or settings are not usable."""
    vault = open_vault(settings)
    records = open_engine(settings.records, settings.write_wait)
    lock = WriteLock(records, settings.write_wait)
    practice = Practice(settings, records, vault, SystemClock(), bus_for(records), lock)
    introduce(practice)
    return practice


def introduce(practice: Practice) -> None:
    """Let higher rooms be woken by lower ones in the same unit of work."""
    for room in SUBSCRIBERS:
        for event, subscriber in room.items():
            practice.subscribe(event, subscriber)


def create_app(settings: Settings | None = None, practice: Practice | None = None) -> Flask:
    """The http group's app: pages, forms and small JSON."""
    practice = practice or open_practice(settings or Settings.load())
    app = Flask("telepsych", static_folder=None, template_folder=str(HERE / "templates"))
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_REQUEST
    attach(app, web_of(practice))
    floods.protect(app)
    _keep_to_origin(app, practice.settings)
    csrf.protect(app)
    headers.protect(app, live_origins(practice.settings))
    errors.install(app, ask_again=step_up_views.ask_again)
    pages.install(
        app,
        strip=crisis().strip,
        navigation=_waiting(practice),
        name_of=_name_of(practice),
        names_of=_names_of(practice),
        emergency_access=_boxes(practice),
    )
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    return app


def create_live(settings: Settings | None = None) -> Flask:
    """The live group's app: sockets only."""
    practice = open_practice(settings or Settings.load())
    for room in EVENTS:
        import_module(f"telepsych.{room}")
    app, _socketio = live.create_live(practice, web_of(practice), epochs=epochs_of)
    return app


def web_of(practice: Practice) -> Web:
    """What the web needs to know about people."""
    return Web(practice, identify, epoch_of)


def identify(work: Work, row: SignInSession) -> Actor:
    """The actor a session stands for, with the roles, teams and relations in force now."""
    return patients.actor_for(work, row.person_id, row.id, row.factor_at)


def epoch_of(work: Work, row: SignInSession) -> int:
    """The present epoch of a session's person; of somebody who left, one that no session has."""
    return epochs_of(work, [row.person_id]).get(row.person_id, 0)


def epochs_of(work: Work, people: Collection[UUID]) -> Mapping[UUID, int]:
    """The present epochs of many people at once."""
    here = select(Person.id, Person.epoch).where(Person.id.in_(people), Person.left_at.is_(None))
    return {row.id: row.epoch for row in work.session.execute(here)}


def live_origins(settings: Settings) -> str:
    """Where pages may open a socket to, for the content security policy."""
    if settings.live_origin or settings.origin:
        where = urlsplit(settings.live_origin or settings.origin)
        return f"wss://{where.netloc}" if where.scheme == "https" else f"ws://{where.netloc}"
    port = os.environ.get("TELEPSYCH_LIVE_PORT", "8001")
    return " ".join(f"ws://{name}:{port}" for name in ("127.0.0.1", "localhost"))


def _keep_to_origin(app: Flask, settings: Settings) -> None:
    """One canonical origin: a page asked for under another name of this host is asked for again under the right one."""
    origin = settings.origin or _loopback_origin()
    if not origin:
        return
    ours = urlsplit(origin)
    names = {ours.netloc} if settings.origin else {ours.netloc, f"localhost:{ours.port}"}  # passkeys need a name

    @app.before_request
    def check_host() -> ResponseReturnValue | None:
        if request.host in names or request.path in ("/healthz", "/readyz"):
            return None
        name = urlsplit(f"//{request.host}").hostname
        if request.method not in csrf.SAFE or (not settings.origin and name not in LOOPBACK):
            raise Refused
        return redirect(origin.rstrip("/") + request.full_path.rstrip("?"), 308)


def _loopback_origin() -> str:
    port = os.environ.get("TELEPSYCH_HTTP_PORT")
    return f"http://127.0.0.1:{port}" if port else ""


def _waiting(practice: Practice) -> pages.Count:
    """How much waits behind a destination of the rail."""

    def count(actor: Actor) -> Mapping[str, int]:
        waiting = {}
        with practice.begin(actor, writes=False, public="rail") as work:
            if patients_policy.can_coordinate(actor):
                waiting["inbox"] = len(triage.open_items(work))
            if oversight_policy.can_see_counts(actor):
                waiting["oversight"] = oversight_due.waiting(work)
        return waiting

    return count


def _boxes(practice: Practice) -> pages.OpenBoxes:
    """The records that whoever is signed in has open in an emergency."""

    def boxes(actor: Actor) -> list[break_glass.OpenBox]:
        with practice.begin(actor, writes=False) as work:
            return break_glass.open_boxes(work)

    return boxes


def _names_of(practice: Practice) -> pages.NamesOf:
    """The names of patients to whom the person has a tie."""

    def names(actor: Actor, wanted: Collection[UUID]) -> Sequence[str]:
        with practice.begin(actor, writes=False, public="names") as work:
            return patients.names_of(work, wanted)

    return names


def _name_of(practice: Practice) -> pages.NameOf:
    """The name of whoever is signed in."""

    def name(actor: Actor) -> str:
        with practice.begin(actor, writes=False, public="name") as work:
            found = accounts.names_of(work, [actor.id]).get(actor.id) if actor.id else None
            return found.name if found else ""

    return name
