"""`telepsych doctor`: one line for each thing a practice needs to be safe, with why it matters and how to mend it.

It looks without changing anything, and goes on when something is missing. Lines about the law's safeguards come from
`safeguards`.
"""

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import Column, MetaData
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from telepsych import migrations
from telepsych.core.clock import Clock, SystemClock, local_date
from telepsych.core.columns import CLASS
from telepsych.core.database import open_engine, sqlite_version, wal_is_safe
from telepsych.core.settings import Settings
from telepsych.crypto import keyring
from telepsych.server import beat, health, key_service, safeguards
from telepsych.server.findings import Installation, Line, is_loopback
from telepsych.triage.content import crisis


def examine(settings: Settings, clock: Clock | None = None) -> list[Line]:
    """Everything worth saying about an installation, the good lines included."""
    place = Installation(settings, clock or SystemClock())
    return [line for look in LOOKS for line in look(place)]


def _keyring(place: Installation) -> Iterator[Line]:
    settings = place.settings
    if settings.key_provider != "keyring":
        yield from key_service.examine(place)
        return
    ring = settings.keyring_file
    beside = (settings.data / "records", settings.data / "keystore")
    if not ring.exists():
        yield Line(
            "keyring",
            "fault",
            f"There is no keyring at {ring}.",
            "Nothing that was sealed can be read without it, and nothing can be written.",
            "Bring the keyring of this practice back. For a new practice run `telepsych init`.",
        )
        return
    faults = keyring.placement_faults(ring, beside)
    if faults:
        why = "Whoever can read the keyring can read every record; a copy beside the data goes into its backups."
        for fault in faults:
            what, _, fix = fault.partition(". ")
            yield Line("keyring", "fault", f"{what}.", why, fix)
    else:
        yield Line("keyring", "ok", "The keyring is there, readable by its owner alone and apart from the data.")


def _databases(place: Installation) -> Iterator[Line]:
    for chain in migrations.chains():
        url = chain.url(place.settings)
        yield _database(chain, url)


def _database(chain: migrations.Chain, url: str) -> Line:
    name = f"{chain.name} database"
    address = make_url(url)
    where = address.render_as_string(hide_password=True)
    if not migrations.may_be_there(url) or not _answers(url):
        return Line(
            chain.name,
            "fault",
            f"The {name} cannot be reached ({where}).",
            "Pages answer with an apology and nothing is saved until it is back.",
            "Start the database, or correct the address in telepsych.toml. For a new practice run `telepsych init`.",
        )
    engine = open_engine(url, pool=NullPool)
    try:
        if health.at_head(engine, chain.name):
            return Line(chain.name, "ok", f"The {name} answers and is at its newest revision.")
    finally:
        engine.dispose()
    return Line(
        chain.name,
        "fault",
        f"The {name} is not at its newest revision ({chain.head}).",
        "The program expects tables that are not there.",
        "Take a backup, then run `telepsych db upgrade`.",
    )


def _engine(place: Installation) -> Iterator[Line]:
    if not any(make_url(chain.url(place.settings)).get_backend_name() == "sqlite" for chain in migrations.chains()):
        return
    version = sqlite_version()
    words = ".".join(map(str, version))
    if wal_is_safe(version):
        yield Line("sqlite", "ok", f"SQLite {words} has no known fault that concerns us.")
    else:
        yield Line(
            "sqlite",
            "fault",
            f"SQLite {words} can corrupt a database in WAL mode (fixed in 3.51.3).",
            "We fall back to a rollback journal, which is safe but slower and lets readers wait for writers.",
            "Install the pysqlite3 wheel (Linux, x86-64), a newer SQLite, or use PostgreSQL.",
        )


def _columns(_place: Installation) -> Iterator[Line]:
    found = [name for chain in migrations.chains() for name in unclassified(chain.metadata)]
    if not found:
        yield Line("columns", "ok", "Every column says why it may stay in clear, or is sealed.")
    for name in found:
        yield Line(
            "columns",
            "fault",
            f"The column {name} is not classified.",
            "Nobody has said why it may be kept in clear, so it may hold what should be sealed.",
            "Make it with a factory of core/columns.py, or move it into the row's sealed document.",
        )


def unclassified(metadata: MetaData) -> list[str]:
    """Columns without a classification, as `table.column`."""
    columns: Iterator[Column[object]] = (column for table in metadata.tables.values() for column in table.columns)
    return sorted(f"{column.table.name}.{column.name}" for column in columns if not column.info.get(CLASS))


def _worker(place: Installation) -> Iterator[Line]:
    heard = beat.read(place.settings)
    why = "Mail is not sent, clocks do not run, and lost calls are not noticed."
    fix = "Start the practice with `telepsych serve`, and look at its log for what stops the worker."
    if heard is None:
        yield Line("worker", "fault", "The worker has never run here.", why, fix)
    elif beat.is_stale(heard, place.clock.now()):
        seconds = (place.clock.now() - heard.at) // 1_000_000
        yield Line("worker", "fault", f"The worker was last heard of {seconds} seconds ago.", why, fix)
    elif heard.failing:
        jobs = ", ".join(heard.failing)
        yield Line("worker", "fault", f"The worker runs, but some of its jobs fail: {jobs}.", why, "Look at its log.")
    else:
        yield Line("worker", "ok", "The worker is running.")


def _turn(place: Installation) -> Iterator[Line]:
    settings = place.settings
    if settings.turn_urls and settings.turn_secret:
        yield Line("turn", "ok", f"Calls are relayed by {len(settings.turn_urls)} TURN address(es).")
        return
    what = "TURN addresses are set without turn_secret." if settings.turn_urls else "No TURN server is set."
    fix = "Run coturn as in config/deploy/turnserver.conf, and set turn_urls and turn_secret."
    if is_loopback(settings.origin):
        why = "Calls work between browsers on this machine only, and show each side the other's address."
        yield Line("turn", "warn", what, why, fix)
    else:
        yield Line("turn", "fault", what, "Visits are refused: calls would not connect, or would show addresses.", fix)


def _mail(place: Installation) -> Iterator[Line]:
    if getattr(place.settings, "smtp_url", ""):
        yield Line("mail", "ok", "Notices go out by mail.")
        return
    yield Line(
        "mail",
        "warn",
        "No mail server is set.",
        f"Notices and invitations are written to {place.settings.data / 'outbox'} and reach nobody by themselves.",
        "Set smtp_url in telepsych.toml.",
    )


def _crisis(place: Installation) -> Iterator[Line]:
    help_now = crisis()
    if not help_now.is_overdue(local_date(place.clock.now(), place.settings.tz)):
        yield Line("crisis", "ok", f"The crisis numbers were checked; the next check is {help_now.review_again_by}.")
        return
    yield Line(
        "crisis",
        "fault",
        f"The crisis numbers should have been checked again by {help_now.review_again_by}.",
        "A patient in danger is shown them; a wrong one costs time that may not be there.",
        "Call or look up every number in config/crisis, then set reviewed_on and review_again_by.",
    )


def _answers(url: str) -> bool:
    engine = open_engine(url, pool=NullPool)
    try:
        return health.answers(engine)
    finally:
        engine.dispose()


LOOKS: Sequence[Callable[[Installation], Iterator[Line]]] = (
    _keyring,
    _databases,
    _engine,
    _columns,
    _worker,
    _turn,
    _mail,
    _crisis,
    safeguards.examine,
)
