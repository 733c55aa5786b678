"""`telepsych audit`: examine the trail, prove an entry, take everything out, print the public key, anchor now."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import click

from telepsych.audit import anchors, checkpoints, export, stream, verify
from telepsych.audit import service as trail
from telepsych.audit.examine import Report
from telepsych.audit.outside import AnchorFailed
from telepsych.core.actor import command
from telepsych.core.clock import SECOND
from telepsych.core.ids import parse_id
from telepsych.core.options import data_option, json_option
from telepsych.core.settings import Settings
from telepsych.core.work import Work
from telepsych.crypto.vault import open_vault

file_type = click.Path(dir_okay=False, path_type=Path)
DIFFERS, LATE = 4, 3
"""Status when the trail is not as it was written, and when entries only wait too long for their place."""


@click.group()
def audit() -> None:
    """The audit trail: examine it, prove an entry, take it out."""


@audit.command("verify")
@data_option
@click.option("--against", multiple=True, type=file_type, help="A signed checkpoint that somebody has kept.")
@click.option("--stream", "second", type=file_type, help="The file of the second stream; else the setting's.")
@json_option
@click.pass_context
def verify_trail(
    ctx: click.Context, data: Path | None, against: tuple[Path, ...], second: Path | None, as_json: bool
) -> None:
    """Recompute everything and say the first entry that is not as it was written. Status 4 if there is one, 3 if
    entries only wait too long for their place."""
    notes = [place.read_text(encoding="utf-8") for place in against]
    place = second or _stream_of(Settings.load(data))
    heard = _heard(place) if place else {}  # before the look at the rows: a line is written after its row
    with _reading(ctx, data) as work:
        report = verify.verify(work, against=notes, heard=heard)
    click.echo(json.dumps(report.as_dict(), indent=2) if as_json else _in_words(report))
    if not report.is_whole:
        ctx.exit(DIFFERS)
    if verify.is_late(report):
        ctx.exit(LATE)


@audit.command("prove")
@click.argument("entry")
@data_option
@click.option("--out", type=file_type, help="Where to write the proof; else it is printed.")
@click.pass_context
def prove(ctx: click.Context, entry: str, data: Path | None, out: Path | None) -> None:
    """Prove that one entry is in the signed tree, in a file that `python -m telepsych.audit.offline` checks."""
    with _reading(ctx, data) as work:
        text = json.dumps(export.proof_of(work, parse_id(entry)), ensure_ascii=False)
        work.at_end(lambda late: trail.record(late, "audit.proved", f"entry:{entry}", purpose="operations"))
    if out is None:
        click.echo(text)
    else:
        out.write_text(text + "\n", encoding="utf-8")
        click.echo(f"{out} proves the entry.")


@audit.command("export")
@click.argument("file", type=file_type)
@data_option
@click.pass_context
def export_trail(ctx: click.Context, file: Path, data: Path | None) -> None:
    """Write every signed entry into a file that `python -m telepsych.audit.offline` checks; nothing is opened."""
    with _reading(ctx, data) as work:
        count = export.export(work, file)
        work.at_end(lambda late: trail.record(late, "audit.exported", f"leaves:{count}", purpose="operations"))
    click.echo(f"{file} holds {count} entries.")


@audit.command("key")
@data_option
@json_option
def key(data: Path | None, as_json: bool) -> None:
    """Print the public keys of the practice's checkpoints, and of what it witnesses for others."""
    settings = Settings.load(data)
    vault = open_vault(settings)
    keys = {
        "log": str(checkpoints.signer_of(vault, settings).key),
        "witness": str(checkpoints.cosigner_of(vault, settings).key),
    }
    click.echo(json.dumps(keys, indent=2) if as_json else f"log:     {keys['log']}\nwitness: {keys['witness']}")


@audit.command("anchor")
@data_option
@click.pass_context
def anchor(ctx: click.Context, data: Path | None) -> None:
    """Have the newest checkpoint confirmed by every anchor now, as the worker does every hour, and print it."""
    with ctx.obj(Settings.load(data)) as practice:
        try:
            anchors.anchor_now(practice)
        except AnchorFailed as problem:
            raise click.ClickException(str(problem)) from problem
        with practice.begin(command("audit"), writes=False, public="audit") as work:
            click.echo(checkpoints.latest(work) or "Nothing has been signed yet.", nl=False)


@contextmanager
def _reading(ctx: click.Context, data: Path | None) -> Iterator[Work]:
    """A reading unit that sees one moment of the trail, while the practice goes on."""
    with (
        ctx.obj(Settings.load(data)) as practice,
        practice.begin(command("audit"), writes=False, public="audit") as work,
    ):
        verify.hold_still(work)
        yield work


def _heard(place: Path) -> dict[UUID, bytes]:
    try:
        return {line.id: line.hash for line in stream.read(place)}
    except OSError as problem:
        raise click.ClickException(f"The second stream at {place} cannot be read.") from problem


def _stream_of(settings: Settings) -> Path | None:
    place = settings.audit_stream
    return Path(place) if place not in ("", stream.STDOUT) else None


def _in_words(report: Report) -> str:
    lines = [f"{one.sentence}" + (f" Entry {one.entry}." if one.entry else "") for one in report.findings]
    lines += report.remarks
    if report.waiting:
        lines.append(f"{report.waiting} entries wait for their place, the oldest for {report.waited // SECOND} s.")
    if report.first_bad is not None:
        lines.append(f"The first entry that is not as it was written: {report.first_bad}.")
    elif report.is_whole:
        seen = f"{report.checkpoints} checkpoints and {report.anchors} anchored ones"
        lines.append(f"{report.size} entries agree with {seen}. Root {report.root}.")
    return "\n".join(lines)
