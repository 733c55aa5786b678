"""What `telepsych doctor` looks at for the law's safeguards. A look yields gaps; no gap is good.

Looks read clear columns only and open nothing sealed. What a real practice must have is asked for mildly where only
people on this machine reach it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Engine, Select, func, inspect, make_url, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from telepsych import migrations
from telepsych.accounts.models import Factor, FactorKind, Person, RoleGrant
from telepsych.audit import guards
from telepsych.audit.models import AuditAnchor, AuditLeaf, AuditRow
from telepsych.core.actor import WORKFORCE, Role
from telepsych.core.clock import DAY, HOUR, MINUTE, SECOND, from_micros
from telepsych.core.database import open_engine
from telepsych.core.errors import TelepsychError
from telepsych.crypto import keyring, recovery_wraps
from telepsych.crypto.vault import open_keystore
from telepsych.oversight.models import GlassReview, WeekReview
from telepsych.server import beat, health
from telepsych.server.backups import places
from telepsych.server.findings import Installation, State, is_loopback
from telepsych.web.models import SignInSession

BACKUP_HOURS, DRILL_DAYS = 48, 180
STAFF_IDLE, PATIENT_IDLE = 15 * 60, 30 * 60
PLACED_WITHIN, ANCHORED_WITHIN = 10 * MINUTE, 3 * HOUR
SECOND_FACTORS = (FactorKind.TOTP, FactorKind.PASSKEY)
SKEW = MINUTE
"""How far two clocks may be apart."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something missing, and what to do about it."""

    state: State
    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class View:
    """An installation as far as it can be seen. `records` and `keystore` are None while they cannot be asked."""

    place: Installation
    records: Engine | None
    keystore: Engine | None

    @property
    def now(self) -> int:
        return self.place.clock.now()

    @property
    def must(self) -> State:
        """How bad a gap is: a trial on this machine holds nobody's records."""
        return "warn" if is_loopback(self.place.settings.origin) else "fault"

    def count(self, query: Select[int]) -> int:
        """The one number a query gives; 0 while the records cannot be asked."""
        if self.records is None:
            return 0
        with Session(self.records) as session:
            return session.scalar(query) or 0


Look = Callable[[View], Iterator[Gap]]


@contextmanager
def view_of(place: Installation) -> Iterator[View]:
    """Look at an installation without changing or making anything."""
    engines = {chain.name: _engine(chain, chain.url(place.settings)) for chain in migrations.chains()}
    try:
        yield View(place, engines["records"], engines["keystore"])
    finally:
        for engine in engines.values():
            if engine is not None:
                engine.dispose()


def _engine(chain: migrations.Chain, url: str) -> Engine | None:
    if not migrations.may_be_there(url):
        return None
    engine = open_engine(url, pool=NullPool)
    return engine if health.at_head(engine, chain.name) else None


def _by_design(_view: View) -> Iterator[Gap]:
    yield from ()


# People


def _departed(view: View) -> Iterator[Gap]:
    gone = select(Person.id).where(Person.left_at.is_not(None))
    open_ones = select(func.count()).select_from(SignInSession).where(SignInSession.person_id.in_(gone))
    count = view.count(open_ones.where(SignInSession.ended_at.is_(None)))
    if count:
        yield Gap(
            "fault", f"{count} sessions of people who have left are still open.", "End them on their page of people."
        )


def _officer(view: View) -> Iterator[Gap]:
    if view.records is not None and not view.count(_holding({Role.COMPLIANCE}, view.now)):
        fix = "Give somebody the role: `telepsych staff add --role compliance`."
        yield Gap(view.must, "Nobody is the compliance officer: nobody hears of emergency access.", fix)


def _glass_reviews(view: View) -> Iterator[Gap]:
    late = select(func.count()).select_from(GlassReview).where(GlassReview.closed_at.is_(None))
    count = view.count(late.where(GlassReview.due_at < view.now))
    if count:
        yield Gap(
            "fault", f"{count} emergency accesses wait for their review past the due day.", "Review them in Oversight."
        )


def _weeks(view: View) -> Iterator[Gap]:
    late = select(func.count()).select_from(WeekReview).where(WeekReview.signed_at.is_(None))
    count = view.count(late.where(WeekReview.due_at < view.now))
    if count:
        yield Gap("fault", f"{count} weeks of the audit trail are not signed off.", "Work through them in Oversight.")


def _factors(view: View) -> Iterator[Gap]:
    """People of the workforce who can sign in with a password and nothing else."""
    live = Factor.ended_at.is_(None)
    password = select(Factor.person_id).where(live, Factor.kind == FactorKind.PASSWORD)
    second = select(Factor.person_id).where(live, Factor.confirmed_at.is_not(None), Factor.kind.in_(SECOND_FACTORS))
    weak = _holding(WORKFORCE, view.now).where(Person.id.in_(password), Person.id.not_in(second))
    count = view.count(weak)
    if count:
        fix = "Have them set up a passkey or an authenticator; until then they are asked for it at sign-in."
        yield Gap("fault", f"{count} people who work here have no second factor.", fix)


def _holding(roles: frozenset[Role] | set[Role], now: int) -> Select[int]:
    """How many people who are here hold one of these roles."""
    lasting = RoleGrant.valid_until.is_(None) | (RoleGrant.valid_until > now)
    held = select(RoleGrant.person_id).where(RoleGrant.role.in_(roles), RoleGrant.valid_from <= now, lasting)
    return select(func.count()).select_from(Person).where(Person.left_at.is_(None), Person.id.in_(held))


# Settings


def _idle(view: View) -> Iterator[Gap]:
    settings = view.place.settings
    for name, seconds, most in (
        ("staff_idle", settings.staff_idle, STAFF_IDLE),
        ("patient_idle", settings.patient_idle, PATIENT_IDLE),
    ):
        if seconds > most:
            yield Gap(
                "warn", f"{name} is {seconds // 60} minutes.", f"Set {name} to {most} seconds or less, or say why."
            )


def _tls(view: View) -> Iterator[Gap]:
    origin = view.place.settings.origin
    if not origin:
        yield Gap(
            "warn", "No origin is set: only people on this machine reach the practice.", "Set origin before others do."
        )
    elif urlsplit(origin).scheme != "https" and not is_loopback(origin):
        yield Gap(
            "fault", "People reach the practice without TLS.", "Put it behind config/deploy/nginx.conf; set origin."
        )


def _relay(view: View) -> Iterator[Gap]:
    if not view.place.settings.turn_urls:
        yield Gap(
            "warn", "No relay is set: calls would show each side the other's address.", "Run coturn; set turn_urls."
        )


def _keyring_place(view: View) -> Iterator[Gap]:
    settings = view.place.settings
    if settings.key_provider != "keyring":
        return
    ring = settings.keyring_file
    for fault in keyring.placement_faults(ring, (settings.data / "records", settings.data / "keystore")):
        what, _, fix = fault.partition(". ")
        yield Gap("fault", f"{what}.", fix)
    if ring.exists() and ring.resolve().is_relative_to(settings.data.resolve()) and not is_loopback(settings.origin):
        fix = "Move it, for example to /etc/telepsych/keyring.json, and set keyring."
        yield Gap("warn", "The keyring lies in the data folder: a copy of the folder is a copy of the keys.", fix)


def _vendors(view: View) -> Iterator[Gap]:
    settings = view.place.settings
    used = [urlsplit(settings.smtp_url).hostname, urlsplit(settings.kms_endpoint).hostname]
    used += [make_url(url).host for url in (settings.records, settings.keystore)]
    used += [turn.split(":", 1)[-1].split("?")[0].rsplit(":", 1)[0] for turn in settings.turn_urls]
    if settings.key_provider == "aws-kms" and not settings.kms_endpoint:
        used.append("amazonaws.com")
    for host in sorted({one for one in used if one and not _is_here(one)} - set(settings.agreements)):
        fix = "Once the contract is on file, add the host to agreements; for a host of your own as well."
        yield Gap("warn", f"Nothing says that {host} has a business associate contract.", fix)


def _is_here(host: str) -> bool:
    return host.startswith("/") or is_loopback(f"http://{host}" if ":" not in host else f"http://[{host}]")


# The audit trail


def _trail(view: View) -> Iterator[Gap]:
    here = (
        select(func.count()).select_from(AuditRow).where(AuditRow.at.between(view.now - DAY, view.now - PLACED_WITHIN))
    )
    has_leaf = select(AuditLeaf.row_id).where(AuditLeaf.row_id == AuditRow.id).exists()
    count = view.count(here.where(~has_leaf))
    if count:
        fix = "Start the worker. If it runs, see its log and `telepsych audit verify`."
        yield Gap("fault", f"{count} entries of the audit trail are not in its tree yet.", fix)


def _anchors(view: View) -> Iterator[Gap]:
    settings = view.place.settings
    if not (settings.anchor_file or settings.anchor_tsa or settings.anchor_witness):
        fix = "Set anchor_file (on another volume), anchor_tsa or anchor_witness."
        yield Gap(view.must, "Nobody outside confirms the audit trail: its keeper could rewrite it unnoticed.", fix)
        return
    last = view.count(select(func.max(AuditAnchor.at)))
    if view.records is not None and last < view.now - ANCHORED_WITHIN:
        since = f"since {from_micros(last):%Y-%m-%d %H:%M} UTC" if last else "so far"
        yield Gap("fault", f"The audit trail has not been anchored {since}.", "Start the worker, and see its log.")


def _guards(view: View) -> Iterator[Gap]:
    """The triggers by which the database itself refuses to change the trail."""
    if view.records is None:
        return
    named = "sqlite_master WHERE type = 'trigger'" if view.records.dialect.name == "sqlite" else "pg_trigger"
    column = "name" if view.records.dialect.name == "sqlite" else "tgname"
    with view.records.connect() as connection:
        there = set(connection.scalars(text(f"SELECT {column} FROM {named}")))  # noqa: S608
        tables = set(inspect(connection).get_table_names()) & set(guards.TABLES)
    bare = [table for table in sorted(tables) if not any(name.startswith(f"{table}_") for name in there)]
    for table in bare:
        fix = (
            "Somebody took the guard away. Find out who, run `telepsych audit verify`, then make it again (guards.py)."
        )
        yield Gap("fault", f"The database no longer refuses to change {table}.", fix)


# Bringing the practice back


def _recovery(view: View) -> Iterator[Gap]:
    if view.keystore is None:
        return
    keystore = open_keystore(view.place.settings)
    try:
        found = recovery_wraps.state(keystore)
    except TelepsychError:
        return
    if not found.name:
        fix = "Run `telepsych keys recovery new`, and give its three shares to three people."
        yield Gap(
            view.must, "There is no recovery key: without the keyring everything is lost, and no backup is made.", fix
        )
    elif found.missing:
        fix = (
            "The worker copies them within minutes; if it runs, see `telepsych keys status` for keys that do not open."
        )
        yield Gap(view.must, f"{found.missing} of {found.kept} data keys have no copy for the recovery key.", fix)


def _backup(view: View) -> Iterator[Gap]:
    settings = view.place.settings
    last = places.last(settings)
    fix = "Run `telepsych backup`, and let a timer do so (config/deploy/telepsych-backup.timer)."
    if last is None:
        yield Gap(view.must, "No backup was ever made here.", fix)
        return
    hours = (view.now - last.at) // HOUR
    if hours >= BACKUP_HOURS:
        yield Gap("fault", f"The newest backup is {hours} hours old.", fix)
    if last.at > view.now + SKEW:
        yield Gap("fault", "The newest backup is dated in the future.", "Set the clock right, then make a backup.")
    parents = {part: Path(file).parent for part, file in last.files.items()}
    for part, file in last.files.items():
        if parents[part].is_dir() and not Path(file).exists():
            yield Gap("fault", f"The {part} file of the newest backup is gone from {parents[part]}.", fix)
    if len(set(parents.values())) < len(parents):
        what = "Parts of the newest backup lie in one folder: whoever takes it has records and keys."
        yield Gap("warn", what, "Give each part a volume of its own.")


def _drill(view: View) -> Iterator[Gap]:
    last = places.last_drill(view.place.settings)
    fix = "Run `telepsych restore --drill` with two shares."
    if last is None:
        yield Gap(view.must, "No restore was ever tried here.", fix)
    elif not last.passed:
        yield Gap(
            "fault", f"The last restore drill failed: {last.why}", f"Mend that, make a backup, and try again. {fix}"
        )
    elif view.now - last.at > DRILL_DAYS * DAY:
        yield Gap("fault", f"The last restore drill was {(view.now - last.at) // DAY} days ago.", fix)


# The clock


def _clock(view: View) -> Iterator[Gap]:
    """Our clock against the database's, against files, and against what was already written down."""
    fix = "Let the host set its clock from the network (chrony, systemd-timesyncd); then see docs/operations.md, clock."
    for named, at in _others(view).items():
        if at > view.now + SKEW:
            ahead = (at - view.now) // SECOND
            yield Gap("fault", f"{named} is {ahead} s ahead of this clock: one of the two is wrong.", fix)
    theirs = _database_time(view)
    if theirs is not None and view.now - theirs > SKEW:
        yield Gap("fault", f"This clock is {(view.now - theirs) // SECOND} s ahead of the database's.", fix)


def _others(view: View) -> Mapping[str, int]:
    """Moments that cannot lie ahead of us."""
    settings = view.place.settings
    files = [
        beat.file_of(settings),
        *(Path(make_url(url).database or "") for url in (settings.records, settings.keystore)),
    ]
    found = {f"The file {file.name}": int(file.stat().st_mtime * SECOND) for file in files if file.is_file()}
    heard, theirs = beat.read(settings), _database_time(view)
    found["The worker's sign of life"] = heard.at if heard else 0
    found["The newest entry of the audit trail"] = view.count(select(func.max(AuditRow.at)))
    found["The database's clock"] = theirs or 0
    return found


def _database_time(view: View) -> int | None:
    if view.records is None or view.records.dialect.name != "postgresql":
        return None
    try:
        with view.records.connect() as connection:
            seconds = connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())"))
    except SQLAlchemyError:
        return None
    return int(float(seconds or 0) * SECOND)


LOOKS: Mapping[str, Look] = {
    "by-design": _by_design,
    "departed": _departed,
    "officer": _officer,
    "glass-reviews": _glass_reviews,
    "idle": _idle,
    "keyring-place": _keyring_place,
    "tls": _tls,
    "relay": _relay,
    "trail": _trail,
    "anchors": _anchors,
    "weeks": _weeks,
    "guards": _guards,
    "factors": _factors,
    "recovery": _recovery,
    "backup": _backup,
    "drill": _drill,
    "vendors": _vendors,
    "clock": _clock,
}
