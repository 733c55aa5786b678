"""The command line. With `app.py`, the only file that knows every room; each is loaded when its command is called."""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from telepsych.core.errors import Invalid, TelepsychError

if TYPE_CHECKING:
    from telepsych.core.settings import Settings
    from telepsych.core.work import Practice

COMMANDS = {
    "appropriateness evaluate": "appropriateness.commands:evaluate",
    "audit": "server.audit_commands:audit",
    "backup": "server.backup_commands:backup",
    "code": "server.commands:code",
    "content": "server.commands:content",
    "db": "migrations.commands:db",
    "demo": "cli:demo",
    "doctor": "server.commands:examine",
    "init": "server.commands:init",
    "invite": "patients.commands:invite",
    "keys": "server.keys_commands:keys",
    "questionnaires score": "questionnaires.commands:score",
    "restore": "server.backup_commands:restore",
    "routes": "cli:routes",
    "serve": "server.commands:serve",
    "staff add": "accounts.commands:add",
    "staff leave": "accounts.commands:leave",
    "staff list": "accounts.commands:list_people",
    "staff recover": "accounts.commands:recover",
    "staff role": "accounts.commands:role",
    "triage evaluate": "triage.commands:evaluate",
    "worker": "cli:worker",
}
"""What one types, and where it is: `module:command`."""
HIDDEN = frozenset({"worker"})
TITLES = {
    "appropriateness": "The checklist that supports the choice between video and in person.",
    "questionnaires": "Questionnaires and their scores.",
    "staff": "Those who work in the practice.",
    "triage": "The safety screen.",
}


class Rooms(click.Group):
    """A group whose commands live in rooms."""

    def __init__(self, places: Mapping[str, str], **options: Any) -> None:
        super().__init__(**options)
        self._places = places

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted({words.split()[0] for words, place in self._places.items() if _is_there(place)})

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        below = {words.partition(" ")[2]: place for words, place in self._places.items() if words.split()[0] == name}
        below = {words: place for words, place in below.items() if _is_there(place)}
        if "" in below:
            return _load(below[""], is_hidden=name in HIDDEN)
        return Rooms(below, name=name, help=TITLES.get(name, "")) if below else None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TelepsychError as problem:
            raise click.ClickException(_told(problem)) from problem


def _told(problem: TelepsychError) -> str:
    """An error as an operator reads it: which option it is about, where it is about one."""
    fields = problem.fields if isinstance(problem, Invalid) else {}
    return "; ".join(f"{name}: {what}" for name, what in fields.items()) or problem.sentence


def _is_there(place: str) -> bool:
    module = f"telepsych.{place.split(':')[0]}"
    return bool(find_spec(module.rpartition(".")[0]) and find_spec(module))


def _load(place: str, *, is_hidden: bool = False) -> click.Command:
    module, _, name = place.partition(":")
    command: click.Command = getattr(import_module(f"telepsych.{module}"), name)
    command.hidden = is_hidden
    return command


@contextmanager
def opened(settings: "Settings") -> Iterator["Practice"]:
    """The practice with every room introduced, for one command. Rooms find this as their context's object."""
    from telepsych.app import open_practice

    practice = open_practice(settings)
    try:
        yield practice
    finally:
        practice.records.dispose()


main = Rooms(
    COMMANDS,
    name="telepsych",
    help="Telepsych: the companion to virtual psychiatric medication follow-ups.",
    context_settings={"obj": opened},
)


@click.command()
def worker() -> None:
    """Run the worker alone; `telepsych serve` starts it by itself."""
    from telepsych.app import open_practice
    from telepsych.core.settings import Settings
    from telepsych.server.commands import run_worker

    run_worker(open_practice(Settings.load()))


@click.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder.")
@click.option("--port", type=click.IntRange(0, 65534), default=8000, show_default=True, help="Pages; sockets: one up.")
@click.option("--fresh", is_flag=True, help="Throw the fictional practice away and make a new one.")
@click.option("--seed-only", is_flag=True, help="Make the fictional practice and do not serve it.")
def demo(data: Path | None, port: int, fresh: bool, seed_only: bool) -> None:
    """Make a fictional practice, once, and serve it on this machine."""
    from telepsych.core.settings import Settings
    from telepsych.server import commands, demo_folder

    settings = Settings.load(data)
    demo_folder.claim(settings, fresh=fresh)
    commands.prepare(settings)
    if not demo_folder.is_seeded(settings):
        click.echo("Making the fictional practice ...")
    _seed(settings)
    if seed_only:
        click.echo(demo_folder.sign_ins(settings))
    else:
        commands.run_supervisor(settings, port, then=lambda: click.echo(demo_folder.sign_ins(settings, port)))


def _seed(settings: "Settings") -> None:
    """Make the fictional practice; where it is there already, see that a visit lies ahead."""
    from telepsych.demo.seed import refresh, seed
    from telepsych.server import demo_folder

    with opened(settings) as practice:
        if demo_folder.is_seeded(settings):
            refresh(practice)
        else:
            seed(practice)


@dataclass(frozen=True, slots=True)
class DoorLine:
    """One way into the program, and who may use it."""

    kind: str
    """`route`, `event` or `command`."""
    name: str
    policy: str


@click.command()
@click.option("--policy", "as_policy", is_flag=True, help="Say for each door what every kind of person meets there.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def routes(as_policy: bool, as_json: bool) -> None:
    """List every route, live event and command, with the policy that guards it."""
    if as_policy:
        from telepsych.server import permissions

        said = permissions.as_json() if as_json else permissions.as_text()
        click.echo(json.dumps(said, indent=2) if as_json else said)
        return
    found = list(all_doors())
    if as_json:
        click.echo(json.dumps([asdict(door) for door in found], indent=2))
        return
    for door in found:
        click.echo(f"{door.kind:<8} {door.name:<64} {door.policy}")


def all_doors() -> Iterator[DoorLine]:
    """Every way in."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _routes(Path(folder))
    yield from _events()
    yield from (DoorLine("command", name, "operator") for name in _commands(main, ""))


def _routes(folder: Path) -> Iterator[DoorLine]:
    """The routes, of an app on a folder that is never used."""
    from telepsych.app import create_app
    from telepsych.core.settings import Settings
    from telepsych.crypto import keyring

    settings = Settings.load(folder, environ={})
    keyring.create(settings.keyring_file)
    app = create_app(settings)
    for rule in sorted(app.url_map.iter_rules(), key=lambda one: one.rule):
        methods = " ".join(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))
        policy = getattr(app.view_functions[rule.endpoint], "telepsych_policy", "none")
        yield DoorLine("route", f"{methods} {rule.rule}", policy)


def _events() -> Iterator[DoorLine]:
    from telepsych import app
    from telepsych.web.live_events import events

    for room in app.EVENTS:
        import_module(f"telepsych.{room}")
    for name, event in sorted(events.items()):
        if not event.handler.__module__.startswith("telepsych."):
            continue  # a test's own
        policy = getattr(event.handler, "telepsych_policy", "open session; policy in the handler")
        yield DoorLine("event", name, policy)


def _commands(group: click.Group, before: str) -> Iterator[str]:
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if isinstance(command, click.Group):
            yield from (f"{before}{name}",) if command.invoke_without_command else ()
            yield from _commands(command, f"{before}{name} ")
        elif command is not None:
            yield f"{before}{name}"


if __name__ == "__main__":
    sys.exit(main())
