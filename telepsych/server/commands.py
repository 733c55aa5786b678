"""`telepsych serve`, `init`, `worker`, `doctor`, `content check` and `code`."""

import json
import logging
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import click
import pyotp

from telepsych import migrations
from telepsych.core.errors import Misconfigured, Unavailable
from telepsych.core.options import data_option, json_option
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.crypto import keyring
from telepsych.crypto.vault import open_vault
from telepsych.server import content_check, doctor, recovery_keys, worker
from telepsych.server.supervisor import Supervisor

MARKS = {"ok": "ok   ", "warn": "warn ", "fault": "FAULT"}


@click.command()
@data_option
def init(data: Path | None) -> None:
    """Make the data folder, a keyring and both databases. What is there already stays as it is."""
    prepare(Settings.load(data))
    click.echo(f"{Settings.load(data).data} is ready. Keep its keyring safe: without it nothing can be read again.")


def prepare(settings: Settings) -> None:
    """Make what a practice needs to start: folder, keyring, databases at head."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if settings.key_provider == "keyring" and not settings.keyring_file.exists():
        recovery_keys.require_no_loss(settings)
        keyring.create(settings.keyring_file)
    vault = open_vault(settings)
    migrations.upgrade(settings)
    vault.derive("first use")  # brings in the first root key where one has to be made


@click.command()
@data_option
@click.option("--port", type=click.IntRange(0, 65534), default=8000, show_default=True, help="Pages; sockets: one up.")
def serve(data: Path | None, port: int) -> None:
    """Run the practice on this machine: pages, sockets and worker, until stopped."""
    settings = Settings.load(data)
    open_vault(settings)
    if not _is_current(settings):
        raise Misconfigured("The databases are not at their newest revision. Run `telepsych db upgrade` first.")
    run_supervisor(settings, port)


def run_supervisor(settings: Settings, port: int, then: Callable[[], None] = lambda: None) -> None:
    """Run the practice until stopped; do `then` once it is ready."""

    def say(line: str) -> None:
        click.echo(line)
        then()
        sys.stdout.flush()

    _log_to_stderr()
    Supervisor(settings, port, say).run()


def _is_current(settings: Settings) -> bool:
    try:
        return migrations.is_current(settings)
    except Unavailable as problem:
        raise Misconfigured(problem.sentence) from None


def run_worker(practice: Practice) -> None:
    """Run the worker until a signal comes."""
    _log_to_stderr()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    worker.run(practice, worker.jobs(), stop)


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")


@click.command("doctor")
@data_option
@json_option
def examine(data: Path | None, as_json: bool) -> None:
    """Say what is wrong with this practice's installation, why it matters, and how to mend it."""
    found = doctor.examine(Settings.load(data))
    is_well = not any(line.state == "fault" for line in found)
    if as_json:
        click.echo(json.dumps({"ok": is_well, "lines": [line.as_dict() for line in found]}, indent=2))
    else:
        for line in found:
            click.echo(f"{MARKS[line.state]} {line.what}")
            if line.state != "ok":
                click.echo(f"      why: {line.why}\n      fix: {line.fix}")
    if not is_well:
        raise click.exceptions.Exit(1)


@click.group()
def content() -> None:
    """Clinical and legal content."""


@content.command("check")
@json_option
def check_content(as_json: bool) -> None:
    """Read every content file and run its worked examples. Names the file and field of what is wrong."""
    checked, faults = content_check.check()
    if as_json:
        click.echo(json.dumps({"files": checked, "faults": faults}, indent=2))
    else:
        for fault in faults:
            click.echo(fault, err=True)
        click.echo(f"{checked} content files, {len(faults)} faults")
    if faults:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("secret")
def code(secret: str) -> None:
    """Print the code of an authenticator secret, for trying the demo without a phone."""
    try:
        click.echo(pyotp.TOTP(secret.strip()).now())
    except ValueError:
        sentence = "This is not an authenticator secret: 32 letters A to Z and digits 2 to 7."
        raise click.ClickException(sentence) from None
