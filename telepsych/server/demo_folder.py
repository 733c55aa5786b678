"""The folder of the fictional practice: never mixed up with a real one, and made whole or not at all."""

import json
import shutil
import sys
from pathlib import Path

from telepsych.core.errors import Misconfigured
from telepsych.core.settings import Settings

MARK = "fictional-practice"
ACCOUNTS = "accounts.json"
"""Written last by the seed, so that its presence says that everything is there."""
MADE_OF = ("records", "keystore", "keys", "outbox", "run", ACCOUNTS)


def claim(settings: Settings, *, fresh: bool = False) -> None:
    """Take a folder for the demo. Half a demo is thrown away. Raises `Misconfigured` for anybody else's folder."""
    if settings.records_url or settings.keystore_url or settings.keyring:
        raise Misconfigured("The demo keeps everything in its own folder: unset records_url, keystore_url, keyring.")
    mark = settings.data / MARK
    if not mark.exists():
        if settings.keyring_file.exists() or (settings.data / "records").exists():
            raise Misconfigured(f"{settings.data} holds a practice that is not the demo. Choose another with --data.")
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        mark.write_text("Everybody in here is invented. `telepsych demo` may throw this folder away.\n", "utf-8")
    elif fresh or not is_seeded(settings):
        for name in MADE_OF:
            _remove(settings, name)


def is_seeded(settings: Settings) -> bool:
    """Whether the fictional practice is there, whole."""
    return (settings.data / ACCOUNTS).exists()


def sign_ins(settings: Settings, port: int = 0) -> str:
    """Who can sign in and the page to open first, for the terminal."""
    people = json.loads((settings.data / ACCOUNTS).read_text(encoding="utf-8"))
    first = f"http://127.0.0.1:{port}/sign-in" if port else "/sign-in"
    lines = ["", f"Open {first} and sign in as any of these (all invented):", ""]
    lines += [f"  {one['role']:<11} {one['email']:<24} {one['password']}{_secret(one)}" for one in people]
    return "\n".join([*lines, "", *_second_step(people), ""])


def _second_step(people: list[dict[str, str]]) -> list[str]:
    """How the workforce gets its code: with a command, since nobody's phone knows these secrets."""
    secret = next((one["totp_secret"] for one in people if one.get("totp_secret")), "SECRET")
    return [
        "Staff are asked for a code as well. This prints one for the authenticator secret beside their password;",
        "each code works once, and a new one comes every 30 seconds:",
        "",
        f"  {_program()} code {secret}",
    ]


def _program() -> str:
    """What one types to run this program again."""
    return sys.argv[0] if Path(sys.argv[0]).name == "telepsych" else "telepsych"


def _secret(one: dict[str, str]) -> str:
    return f"   authenticator secret {one['totp_secret']}" if one.get("totp_secret") else ""


def _remove(settings: Settings, name: str) -> None:
    place = settings.data / name
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
