"""Recording acts and looks. No audit row, no act: the rows are part of the unit's own transaction."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from telepsych.audit import stream
from telepsych.audit.entries import canonical, covered
from telepsych.audit.models import AuditRow, Outcome
from telepsych.core.actor import Actor
from telepsych.core.ids import new_id
from telepsych.core.work import Practice, Work
from telepsych.crypto.scopes import practice_scope
from telepsych.crypto.vault import Vault

ENTRIES = "audit.entries"


def record(
    work: Work,
    action: str,
    about: str,
    *,
    patient_id: UUID | None = None,
    purpose: str = "treatment",
    detail: Mapping[str, Any] | None = None,
    outcome: Outcome = Outcome.DONE,
) -> None:
    """Leave an entry for an act of this unit. `about` is `kind:id`; `detail` is sealed and may say what changed."""
    work.audited = True
    entries = work.session.info.setdefault(ENTRIES, [])
    if not entries:
        work.at_commit(_write)
    entries.append(_entry(work, action, about, patient_id, purpose, outcome, detail))


def look(work: Work, action: str, patient_id: UUID, *, purpose: str = "treatment", about: str = "") -> None:
    """Leave one entry for reading this patient's data in this unit, however many rows were opened."""
    seen = work.session.info.setdefault("audit.looks", set())
    if (action, patient_id) in seen:
        return
    seen.add((action, patient_id))
    thing = about or f"patient:{patient_id}"
    if work.writes:
        record(work, action, thing, patient_id=patient_id, purpose=purpose)
    else:
        work.at_end(lambda late: record(late, action, thing, patient_id=patient_id, purpose=purpose))


def refused(practice: Practice, actor: Actor, action: str, about: str, request_id: str, reason: str) -> None:
    """Leave an entry for an act that was refused, in a unit of its own, after the refused unit rolled back."""
    with practice.begin(actor, public="refusal", request_id=request_id) as work:
        record(work, action, about, purpose="operations", detail={"reason": reason}, outcome=Outcome.REFUSED)


def mac_of(vault: Vault, row: Any) -> bytes:
    """The HMAC that a row must carry: over its canonical JSON (RFC 8785)."""
    return vault.mac("audit-hmac", canonical(covered(row)))


def is_genuine(vault: Vault, row: Any) -> bool:
    """Whether the row is as it was written."""
    return hmac.compare_digest(mac_of(vault, row), row.mac)


def detail_of(vault: Vault, row: AuditRow) -> dict[str, Any]:
    """Open the sealed detail of a row."""
    if row.detail is None:
        return {}
    plaintext = vault.open(practice_scope(), "audit_row", row.id, 1, row.detail)
    return cast(dict[str, Any], json.loads(plaintext))


def _entry(
    work: Work,
    action: str,
    about: str,
    patient_id: UUID | None,
    purpose: str,
    outcome: Outcome,
    detail: Mapping[str, Any] | None,
) -> AuditRow:
    actor = work.actor
    relation = actor.relation_to(patient_id) if patient_id else None
    row = AuditRow(
        id=new_id(),
        version=1,
        at=work.now,
        actor_id=actor.id,
        on_behalf_of=patient_id if relation == "proxy" else actor.on_behalf_of,
        label=actor.label,
        roles=",".join(sorted(actor.roles)),
        session_id=actor.session_id,
        action=action,
        about=about,
        patient_id=patient_id,
        relation=relation,
        purpose="own record" if relation == "self" else purpose,
        outcome=outcome,
        request_id=work.request_id,
    )
    if detail:
        vault: Vault = work.practice.vault
        plaintext = json.dumps(dict(detail), sort_keys=True, default=str).encode()
        row.detail = vault.seal(practice_scope(), "audit_row", row.id, 1, plaintext)
    return row


def _write(work: Work) -> None:
    """Finish the unit's entries with the hash of every ciphertext it touched, and insert them."""
    touched = hashlib.sha256(b"".join(work.session.info.get("touched", []))).digest()
    rows = work.session.info.pop(ENTRIES)
    for row in rows:
        row.touched = touched
        row.mac = mac_of(work.practice.vault, row)
        work.session.add(row)
    stream.say_after_commit(work, rows)
