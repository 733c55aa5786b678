"""The recovery key of a running practice: made, back-filled, and used on the day the keyring is lost."""

from sqlalchemy import select

from telepsych import migrations
from telepsych.audit import service as audit
from telepsych.core.actor import Actor, Decision, command, system
from telepsych.core.errors import Conflict, Misconfigured, Unavailable
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.crypto import recovery, recovery_wraps
from telepsych.crypto.keystore import DataKey, reading
from telepsych.crypto.recovery import RecoveryKey
from telepsych.crypto.recovery_wraps import Recovered
from telepsych.crypto.vault import open_keystore
from telepsych.server.backups import manifest

BY_COMMAND = command("keys-recovery")
BY_JOB = system("recovery-copies")


def may_recover(actor: Actor) -> Decision:
    """Whoever works at the command line of the host, and the practice's own clockwork."""
    return Decision(actor.is_system, "The recovery key is made at the command line.")


def make(practice: Practice, *, replace: bool = False) -> list[str]:
    """A new recovery key. Returns its three shares, which are kept nowhere. Raises `Conflict` when there is one and
    `replace` does not say so: backups made before would need the old shares."""
    before = recovery_wraps.state(practice.vault.keystore)
    if before.name and not replace:
        raise Conflict("There is a recovery key already. With --replace its shares open only what was sealed so far.")
    public, shares = recovery.new_recovery_key(manifest.signer_name(practice.vault))
    recovery_wraps.install(practice.vault, public)
    _record(practice, BY_COMMAND, "keys.recovery-made", recovery.recovery_id(public))
    return shares


def back_fill(practice: Practice) -> None:
    """Copy what has no copy for recovery yet. A job: a key made while the recovery key was new may have none."""
    made = recovery_wraps.back_fill(practice.vault)
    if made:
        name = recovery_wraps.state(practice.vault.keystore).name
        _record(practice, BY_JOB, "keys.recovery-copied", name, {"copies": made})


def recover(settings: Settings, key: RecoveryKey) -> Recovered:
    """A new keyring in the place of a lost one. See `recovery_wraps.recover`; `note` afterwards."""
    keystore = open_keystore(settings)
    try:
        return recovery_wraps.recover(keystore, settings.keyring_file, key)
    finally:
        keystore.dispose()


def note(practice: Practice, key: RecoveryKey, recovered: Recovered) -> None:
    """Leave an entry, once the practice can be opened again."""
    detail = {"rewrapped": recovered.rewrapped, "lost": recovered.lost}
    _record(practice, BY_COMMAND, "keys.recovered", key.id, detail)


def require_no_loss(settings: Settings) -> None:
    """Refuse to make a keyring where data keys wait for the one they were wrapped with. Raises `Misconfigured`."""
    chain = migrations.chains()[0]
    if not migrations.may_be_there(settings.keystore) or migrations.place_of(chain, settings.keystore) is None:
        return
    keystore = open_keystore(settings)
    try:
        with reading(keystore) as session:
            is_used = session.scalar(select(DataKey.id).limit(1)) is not None
    except Unavailable:
        return
    finally:
        keystore.dispose()
    if is_used:
        raise Misconfigured(
            f"The keyring {settings.keyring_file} is lost, and a new one would open nothing. Bring it back, or run"
            " `telepsych keys recover` with two shares."
        )


def _record(practice: Practice, actor: Actor, act: str, name: str, detail: dict[str, int] | None = None) -> None:
    with practice.begin(actor) as work:
        work.require(may_recover(actor))
        audit.record(work, act, f"recovery-key:{name}", purpose="operations", detail=detail)
