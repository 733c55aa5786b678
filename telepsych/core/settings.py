"""Operator settings, each declared once: name, default and a sentence. `TELEPSYCH_*` wins over `telepsych.toml`.

`telepsych.toml` lies in the data folder. Unknown names and odd values are refused at start.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
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
    turn_urls: tuple[str, ...] = Field(
        (), description="TURN servers, such as turn:turn.example.org:3478?transport=udp."
    )
    turn_secret: str = Field("", description="The secret shared with the TURN server (use-auth-secret).", repr=False)
    licensed_states: tuple[str, ...] = Field(("CT",), description="States the practice's clinicians are licensed in.")
    smtp_url: str = Field("", description="Mail server, such as smtp://user:secret@host:587. Empty: files.", repr=False)
    mail_from: str = Field("no-reply@telepsych.invalid", description="The sender of notices.")
    http_workers: int = Field(1, ge=1, le=64, description="Processes in the http group.")
    live_workers: int = Field(1, ge=1, le=64, description="Processes in the live group.")
    staff_idle: int = Field(15 * 60, ge=60, description="Seconds without a sign of life before staff are locked out.")
    patient_idle: int = Field(30 * 60, ge=60, description="The same for patients and guardians.")
    staff_absolute: int = Field(12 * 3600, ge=600, description="Longest session of staff.")
    patient_absolute: int = Field(24 * 3600, ge=600, description="Longest session of patients and guardians.")
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
