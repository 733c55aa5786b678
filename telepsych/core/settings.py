"""Operator settings, each declared once: name, default and a sentence. `TELEPSYCH_*` wins over `telepsych.toml`.

`telepsych.toml` lies in the data folder. Unknown names and odd values are refused at start.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from telepsych.core.errors import Misconfigured

PREFIX = "TELEPSYCH_"


class Settings(BaseModel):
    """All operator settings. Times are in seconds unless the name says otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path = Field(description="The data folder: records, keystore, keys, and what the processes run with.")
    practice_name: str = Field("Willow Street Psychiatry", description="The name people see.")
    practice_phone: str = Field("(203) 555-0100", description="The number people call when something fails.")
    zone: str = Field("America/New_York", description="The practice's time zone.")
    holiday_region: str = Field(
        "US-CT", description="Country and subdivision whose public holidays the practice keeps."
    )
    origin: str = Field(
        "", description="The one origin people use, such as https://visits.example.org. Empty: loopback."
    )
    live_origin: str = Field("", description="Where the live group is reached; empty: the origin's own host.")
    records_url: str = Field("", description="SQLAlchemy address of the records database. Empty: SQLite in the folder.")
    keystore_url: str = Field("", description="SQLAlchemy address of the keystore. Empty: SQLite in the folder.")
    keyring: Path | None = Field(None, description="The keyring file. Empty: keys/keyring.json in the data folder.")
    key_provider: Literal["keyring", "aws-kms", "pkcs11"] = Field(
        "keyring", description="Where the root keys live: keyring (a file), aws-kms or pkcs11."
    )
    kms_key_id: str = Field(
        "", description="The first root key in AWS KMS: its id, ARN or alias. Empty: one is made. Later ones: rotate."
    )
    kms_region: str = Field("", description="The region of AWS KMS, such as us-east-1.")
    kms_endpoint: str = Field("", description="Another address of AWS KMS, such as a private endpoint.")
    pkcs11_module: Path | None = Field(None, description="The library that came with a hardware security module.")
    pkcs11_token: str = Field("", description="The label of the token that holds the root keys.")
    pkcs11_pin: str = Field("", description="The user PIN of that token.", repr=False)
    turn_urls: tuple[str, ...] = Field(
        (), description="TURN servers, such as turn:turn.example.org:3478?transport=udp."
    )
    turn_secret: str = Field("", description="The secret shared with the TURN server (use-auth-secret).", repr=False)
    licensed_states: tuple[str, ...] = Field(("CT",), description="States the practice's clinicians are licensed in.")
    smtp_url: str = Field("", description="Mail server, such as smtp://user:secret@host:587. Empty: files.", repr=False)
    mail_from: str = Field("no-reply@telepsych.invalid", description="The sender of notices.")
    trusted_proxies: tuple[str, ...] = Field(
        ("127.0.0.1", "::1"), description="Addresses of proxies whose X-Forwarded-For is believed."
    )
    requests_by_address: float = Field(
        60, gt=0, description="Requests a second that one address may make of one process, over a while."
    )
    requests_by_session: float = Field(
        20, gt=0, description="Requests a second that one session may make of one process, over a while."
    )
    handshakes_by_address: float = Field(
        20, gt=0, description="Sockets a second that one address may open in one process, over a while."
    )
    backup_records_to: Path | None = Field(None, description="Folder for backups of the records.")
    backup_keystore_to: Path | None = Field(None, description="Folder for backups of the keystore; on another volume.")
    backup_keyring_to: Path | None = Field(
        None, description="Folder for sealed copies of the keyring; elsewhere again."
    )
    http_workers: int = Field(1, ge=1, le=64, description="Processes in the http group.")
    live_workers: int = Field(1, ge=1, le=64, description="Processes in the live group.")
    staff_idle: int = Field(15 * 60, ge=60, description="Seconds without a sign of life before staff are locked out.")
    patient_idle: int = Field(30 * 60, ge=60, description="The same for patients and guardians.")
    staff_absolute: int = Field(12 * 3600, ge=600, description="Longest session of staff.")
    patient_absolute: int = Field(24 * 3600, ge=600, description="Longest session of patients and guardians.")
    agreements: tuple[str, ...] = Field(
        (), description="Hosts of vendors whose business associate contract is on file, such as smtp.example.com."
    )
    audit_origin: str = Field(
        "", description="The name of the practice's audit log in its checkpoints. Empty: made of its key."
    )
    audit_stream: str = Field(
        "", description="Where a line for each audit entry also goes: a file, or `stdout`. Empty: nowhere."
    )
    anchor_file: str = Field(
        "", description="A file on another volume that checkpoints of the audit log are appended to every hour."
    )
    anchor_tsa: str = Field("", description="Address of an RFC 3161 time-stamp authority for checkpoints.")
    anchor_tsa_roots: str = Field("", description="PEM file of the certificates that time stamps must lead back to.")
    anchor_witness: str = Field(
        "", description="Address of a witness for checkpoints, such as https://other.example.org/witness."
    )
    anchor_witness_key: str = Field(
        "", description="The witness's verifier key, as `telepsych audit key` prints it there."
    )
    witness_for: tuple[str, ...] = Field(
        (), description="Verifier keys of other practices whose audit logs this one witnesses."
    )
    debug_errors: bool = Field(False, description="Let defects surface as they are; for development only.")
    write_wait: float = Field(10.0, gt=0, le=60, description="How long a write waits for its turn before 503.")

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        ZoneInfo(name)
        return name

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    @property
    def is_https(self) -> bool:
        """Whether people reach the practice over TLS: cookies are bound to that then."""
        return self.origin.startswith("https://")

    @property
    def records(self) -> str:
        return self.records_url or f"sqlite:///{self.data / 'records' / 'records.sqlite'}"

    @property
    def keystore(self) -> str:
        return self.keystore_url or f"sqlite:///{self.data / 'keystore' / 'keystore.sqlite'}"

    @property
    def keyring_file(self) -> Path:
        return self.keyring or self.data / "keys" / "keyring.json"

    @classmethod
    def load(cls, data: Path | None = None, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the settings. Raises `Misconfigured` naming the setting and what is wrong with it."""
        folder = (data or Path(environ.get(f"{PREFIX}DATA", "data"))).absolute()
        values = {**_from_file(folder / "telepsych.toml"), **_from_environment(environ), "data": folder}
        try:
            return cls(**values)
        except ValidationError as problem:
            faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in problem.errors())
            raise Misconfigured(f"Settings: {faults}") from problem


def _from_file(place: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as problem:
        raise Misconfigured(f"telepsych.toml: {problem}") from problem


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Variables named like a setting; a list is separated by commas. Other `TELEPSYCH_*` names are left alone."""
    values: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        text = environ.get(PREFIX + name.upper())
        if text is None:
            continue
        is_list = getattr(field.annotation, "__origin__", None) is tuple
        values[name] = tuple(part.strip() for part in text.split(",") if part.strip()) if is_list else text
    return values
