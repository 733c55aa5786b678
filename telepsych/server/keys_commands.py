"""`telepsych keys …`: what there is, and new root and data keys while the practice runs."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from telepsych.audit import service as audit
from telepsych.core.actor import Decision, command
from telepsych.core.errors import Conflict
from telepsych.core.options import data_option, json_option
from telepsych.core.settings import Settings
from telepsych.core.work import Practice, Work
from telepsych.crypto import data_keys, reseal, rotation
from telepsych.crypto.data_keys import KINDS
from telepsych.crypto.keyring import Keyring
from telepsych.crypto.sealed import TOUCHED
from telepsych.crypto.vault import LOOK_EVERY, open_vault
from telepsych.server import keys_report
from telepsych.server.recovery_commands import recover, recovery_group
from telepsych.server.shred_commands import shred

Opened = Callable[[Settings], AbstractContextManager[Practice]]
SETTLED = LOOK_EVERY + 3
"""Seconds after which no process seals with an old data key any more: it has noticed, and its unit has ended."""


@click.group()
def keys() -> None:
    """Root keys and data keys."""


@keys.command("status")
@data_option
@json_option
def status(data: Path | None, as_json: bool) -> None:
    """Say which root keys there are, how many data keys they wrap, and what is still to be done. Never a key itself."""
    report = keys_report.report(open_vault(Settings.load(data)))
    click.echo(json.dumps(report, indent=2) if as_json else keys_report.in_words(report))


@keys.command("rotate")
@click.option("--to", default="", help="A key that is prepared, or made elsewhere (AWS KMS), as the new primary one.")
@click.option("--prepare", is_flag=True, help="Put a new root key into the keyring that wraps nothing yet.")
@click.option("--retire", metavar="ROOT", help="Take a root key one step out of use: disable it, then destroy it.")
@click.option("--reinstate", metavar="ROOT", help="Let a disabled root key open again.")
@click.option("--data-keys", "kind", type=click.Choice([*KINDS, "all"]), help="New data keys instead of a root key.")
@click.option("--owner", type=click.UUID, help="With --data-keys: of this patient or person alone.")
@click.option("--resume", is_flag=True, help="Finish what an earlier rotation of data keys left undone; make no key.")
@click.option("--yes", is_flag=True, help="Do not ask before a root key is destroyed.")
@data_option
@json_option
@click.pass_obj
def rotate(
    opened: Opened,
    to: str,
    prepare: bool,
    retire: str | None,
    reinstate: str | None,
    kind: str | None,
    owner: UUID | None,
    resume: bool,
    yes: bool,
    data: Path | None,
    as_json: bool,
) -> None:
    """Wrap every data key with a new root key, while the practice runs. May be stopped and run again."""
    if sum(map(bool, (to, prepare, retire, reinstate, kind, resume))) > 1:
        raise click.UsageError("Choose one of --to, --prepare, --retire, --reinstate, --data-keys and --resume.")
    if owner and kind not in ("patient", "person"):
        raise click.UsageError("--owner goes with --data-keys patient or person.")
    with opened(Settings.load(data)) as practice:
        if retire:
            done = retire_root(practice, retire, sure=yes or _ask)
        elif prepare:
            done = prepare_root(practice)
        elif reinstate:
            done = reinstate_root(practice, reinstate)
        elif kind or resume:
            done = rotate_data(
                practice, "" if kind in (None, "all") else kind, owner, only_resume=resume, settle=SETTLED
            )
        else:
            done = rotate_root(practice, to)
    click.echo(json.dumps(done) if as_json else done["said"])


def rotate_root(practice: Practice, to: str = "", batch: int = rotation.BATCH) -> dict[str, Any]:
    """A new primary root key; every data key is wrapped with it."""
    vault = practice.vault
    _record(practice, "keys.root-rotation-begun", "keys:root")
    done = rotation.rotate(vault.keystore, vault.provider, to, batch)
    vault.flush()
    found = {"primary": done.primary, "rewrapped": done.rewrapped, "unopened": done.unopened, "new": done.is_new}
    _record(practice, "keys.root-rotated", f"root-key:{done.primary}", found)
    began = (
        "The new primary root key is" if done.is_new else "An earlier rotation was finished. The primary root key is"
    )
    said = f"{began} {done.primary}. {done.rewrapped} data keys were wrapped with it."
    return found | {"said": said + _unopened(done.unopened, "data keys")}


def prepare_root(practice: Practice) -> dict[str, Any]:
    """A new root key in a keyring that several hosts have: it is taken to each before it wraps anything."""
    ring = practice.vault.provider
    if not isinstance(ring, Keyring):
        raise Conflict("Only a keyring is taken from host to host. Leave --prepare out.")
    root = ring.prepare()
    data_keys.note(practice.vault.keystore, "root-prepare", data_keys.DONE, root.id)
    _record(practice, "keys.root-prepared", f"root-key:{root.id}")
    then = f"Bring the file to every host, then run `telepsych keys rotate --to {root.id}`."
    return {"root": root.id, "state": str(root.state), "said": f"Root key {root.id} is in {ring.path}. {then}"}


def retire_root(practice: Practice, root_id: str, sure: bool | Callable[[str], bool] = True) -> dict[str, Any]:
    """The next step out of use of a root key."""
    vault = practice.vault
    before = next((root.state for root in vault.provider.status() if root.id == root_id), None)
    if before == "disabled" and sure is not True and (sure is False or not sure(root_id)):
        raise click.Abort
    _record(practice, "keys.root-retiring", f"root-key:{root_id}")
    root = rotation.retire(vault.keystore, vault.provider, root_id)
    vault.flush()
    _record(practice, f"keys.root-{root.state}", f"root-key:{root_id}")
    return {"root": root.id, "state": str(root.state), "said": f"Root key {root.id} is {root.state} now."}


def reinstate_root(practice: Practice, root_id: str) -> dict[str, Any]:
    """A disabled root key opens again."""
    root = rotation.reinstate(practice.vault.keystore, practice.vault.provider, root_id)
    _record(practice, "keys.root-reinstated", f"root-key:{root_id}")
    return {"root": root.id, "state": str(root.state), "said": f"Root key {root.id} opens again."}


def rotate_data(
    practice: Practice,
    kind: str = "",
    owner: UUID | None = None,
    *,
    only_resume: bool = False,
    settle: float = 0.0,
    batch: int = reseal.BATCH,
) -> dict[str, Any]:
    """New data keys for these holders; every row that can be sealed anew is, while people go on editing."""
    vault = practice.vault
    made = 0 if only_resume else reseal.begin(vault.keystore, vault, kind, owner)
    waiting = reseal.waiting(vault.keystore)
    _record(practice, "keys.data-rotation-begun", "keys:data", {"keys": made, "waiting": len(waiting)})
    resealed, _ = _reseal_all(practice, batch)
    time.sleep(settle)
    late, unopened = _reseal_all(practice, batch)
    resealed += late
    reseal.finish(vault.keystore, waiting)
    _record(practice, "keys.data-rotated", "keys:data", {"resealed": resealed, "unopened": unopened})
    said = f"{made} new data keys; {resealed} rows were sealed anew. Audit entries stay under the keys they have."
    return {"made": made, "resealed": resealed, "unopened": unopened, "said": said + _unopened(unopened, "rows")}


def _reseal_all(practice: Practice, batch: int) -> tuple[int, int]:
    """Once over every table. Returns how many rows were sealed anew, and how many do not open."""
    resealed = unopened = 0
    if old := reseal.old_keys(practice.vault.keystore):
        for model in reseal.tables():
            for page in _pages(practice, model, old, batch):
                resealed += _write(practice, page)
                unopened += page.unopened
    return resealed, unopened


def _pages(practice: Practice, model: Any, old: frozenset[UUID], batch: int) -> Iterator[reseal.Page]:
    """Read in one unit, write in another: opening and sealing takes its time, and the write lock is not held for it."""
    after = UUID(int=0)
    while True:
        with _unit(practice, writes=False) as work:
            page = reseal.read_page(work.session, practice.vault, model, old, after, batch)
        if page is None:
            return
        after = page.after
        yield page


def _write(practice: Practice, page: reseal.Page) -> int:
    if not page.sealings:
        return 0
    with _unit(practice) as work:
        changed = reseal.write_page(work.session, page)
        work.session.info[TOUCHED] += [reseal.fingerprint(one.after) for one in page.sealings]
        name = page.model.__tablename__  # type: ignore[attr-defined]
        audit.record(work, "keys.resealed", f"table:{name}", purpose="operations", detail={"rows": changed})
    return changed


def _record(practice: Practice, act: str, about: str, detail: dict[str, Any] | None = None) -> None:
    with _unit(practice) as work:
        audit.record(work, act, about, purpose="operations", detail=detail)


@contextmanager
def _unit(practice: Practice, *, writes: bool = True) -> Iterator[Work]:
    with practice.begin(command("keys-rotate"), writes=writes) as work:
        work.require(Decision(work.actor.is_system, "Keys are turned at the command line."))
        yield work


def _unopened(count: int, what: str) -> str:
    return f" {count} {what} do not open and stay as they are: see `telepsych doctor`." if count else ""


def _ask(root_id: str) -> bool:
    return click.confirm(f"Destroy root key {root_id}? What only it can open, in old copies too, is gone for ever.")


keys.add_command(recovery_group)
keys.add_command(recover)
keys.add_command(shred)
