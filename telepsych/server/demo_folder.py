"""The folder of the fictional practice: never mixed up with a real one, and made whole or not at all."""

import json
import shutil

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


def sign_ins(settings: Settings) -> str:
    """Who can sign in, for the terminal."""
    people = json.loads((settings.data / ACCOUNTS).read_text(encoding="utf-8"))
    lines = ["", "Sign in as any of these (all invented); open /sign-in first:", ""]
    lines += [f"  {one['role']:<11} {one['email']:<24} {one['password']}{_secret(one)}" for one in people]
    return "\n".join(
        [*lines, "", "The second step of staff is a code from an authenticator app set up with the secret.", ""]
    )


def _secret(one: dict[str, str]) -> str:
    return f"   authenticator secret {one['totp_secret']}" if one.get("totp_secret") else ""


def _remove(settings: Settings, name: str) -> None:
    place = settings.data / name
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
