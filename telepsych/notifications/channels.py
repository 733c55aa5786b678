"""Ways a notice leaves: by mail, or into a folder where there is no mail server."""

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from telepsych.core.clock import from_micros
from telepsych.core.settings import Settings

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""Mail servers on this machine; any other is spoken to over TLS or not at all."""


class Undeliverable(Exception):
    """A notice did not leave; `for_good` when trying again is of no use."""

    def __init__(self, for_good: bool = False) -> None:
        super().__init__("not delivered")
        self.for_good = for_good


class Channel(Protocol):
    """Takes one notice. Raises `Undeliverable`."""

    def send(self, letter: EmailMessage, name: str) -> None: ...


class Folder:
    """Writes notices as mail files. The same notice written twice is one file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, letter: EmailMessage, name: str) -> None:
        draft = self._folder / f".{name}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft.touch(mode=0o600)
            draft.write_bytes(bytes(letter))
            draft.replace(self._folder / f"{name}.eml")
        except OSError:
            raise Undeliverable from None


class Smtp:
    """Hands notices to a mail server: `smtp://user:password@host:port` (STARTTLS) or `smtps://…`."""

    def __init__(self, address: str) -> None:
        self._address = urlsplit(address)

    def send(self, letter: EmailMessage, name: str) -> None:
        try:
            with self._connect() as server:
                server.send_message(letter)
        except smtplib.SMTPRecipientsRefused:
            raise Undeliverable(for_good=True) from None
        except (smtplib.SMTPException, OSError):
            raise Undeliverable from None

    def _connect(self) -> smtplib.SMTP:
        where = self._address
        host = where.hostname or "localhost"
        server: smtplib.SMTP
        if where.scheme == "smtps":
            server = smtplib.SMTP_SSL(host, where.port or 0, timeout=20, context=ssl.create_default_context())
        else:
            server = smtplib.SMTP(host, where.port or 0, timeout=20)
        if where.scheme != "smtps" and host not in LOOPBACK:
            server.starttls(context=ssl.create_default_context())
        if where.username:
            server.login(unquote(where.username), unquote(where.password or ""))
        return server


def channel_for(settings: Settings) -> Channel:
    """The channel an operator has set up."""
    return Smtp(settings.smtp_url) if settings.smtp_url else Folder(settings.data / "outbox")


def letter_to(settings: Settings, address: str, subject: str, text: str, at: int, name: str) -> EmailMessage:
    """A notice as a mail. Its subject and text are the same for everybody."""
    letter = EmailMessage()
    letter["From"] = settings.mail_from
    letter["To"] = address
    letter["Subject"] = f"{settings.practice_name}: {subject}"
    letter["Date"] = format_datetime(from_micros(at))
    letter["Message-ID"] = f"<{name}@telepsych.invalid>"
    letter.set_content(f"{text}\n\n{settings.origin}\n{settings.practice_name}, {settings.practice_phone}\n")
    return letter
