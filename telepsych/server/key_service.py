"""What `telepsych doctor` says about root keys in a cloud service or a hardware module."""

from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from telepsych.core.errors import Misconfigured, TelepsychError
from telepsych.crypto import data_keys
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.provider import KeyState
from telepsych.crypto.providers import provider_for
from telepsych.crypto.vault import open_keystore
from telepsych.server.findings import Installation, Line

WHY = "Known keys serve for five minutes; then pages that open or save records answer 503 until it is back."


def examine(place: Installation) -> Iterator[Line]:
    """Whether the provider answers and opens what it wrapped. Nothing is changed."""
    settings = place.settings
    try:
        keystore = open_keystore(settings)
        provider = provider_for(settings, keystore)
        roots = provider.status()
        if not roots or roots[0].state is not KeyState.PRIMARY:
            yield Line("keys", "fault", "There is no root key yet.", "Nothing can be saved.", "Run `telepsych init`.")
            return
        known = data_keys.newest(keystore, data_keys.DERIVATION)
        if known is not None:
            data_keys.unwrapped(keystore, provider, known)
    except Misconfigured as problem:
        yield Line("keys", "fault", problem.sentence, "The practice does not start.", "Correct telepsych.toml.")
    except CannotOpen:
        what = f"The key provider {settings.key_provider} does not open what it wrapped."
        yield Line("keys", "fault", what, "Nothing that was sealed can be read.", "Look at `telepsych keys status`.")
    except (TelepsychError, SQLAlchemyError) as problem:
        said = problem.sentence if isinstance(problem, TelepsychError) else "The keystore cannot be read."
        fix = "See “The key provider is away” in docs/operations.md."
        yield Line("keys", "fault", f"The key provider {settings.key_provider}: {said}", WHY, fix)
    else:
        yield Line("keys", "ok", f"The key provider {settings.key_provider} answers and opens what it wrapped.")
