"""A rotation of the root key in a process of its own, that dies of SIGKILL where it is told to.

`wrap:<n>`, `commit:<n>`, or `file:<n>`: the keyring's n-th replacement, between writing the new file and putting it in
place.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event

from telepsych.core.settings import Settings
from telepsych.crypto import keyring, rotation
from telepsych.crypto.vault import open_vault


def counted(act: Any, at: int) -> Any:
    """The same act, dying the n-th time before it is done."""
    left = [at]

    def dying(*args: Any, **named: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return act(*args, **named)

    return dying


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    where, _, count = os.environ.get("DIE_AT", "").partition(":")
    vault = open_vault(Settings.load(Path(sys.argv[1])))
    if where == "wrap":
        vault.provider.wrap = counted(vault.provider.wrap, int(count))  # type: ignore[method-assign]
    elif where == "commit":
        event.listen(vault.keystore, "commit", counted(lambda *_: None, int(count)))
    elif where == "file":
        keyring.os.replace = counted(os.replace, int(count))  # type: ignore[attr-defined]
    say("begun")
    done = rotation.rotate(vault.keystore, vault.provider, batch=int(sys.argv[2]))
    say(f"done {done.rewrapped}")


if __name__ == "__main__":
    main()
