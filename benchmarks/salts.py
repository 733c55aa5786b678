"""K11 in full: ten million seals by forked workers whose parent had used the vault already; no salt comes twice.

The key of a ciphertext follows from its salt, and its nonce is fixed: no salt twice means no key and nonce twice. Salts
are cut to 16 bytes and sorted into 256 files by their first byte, so that one file at a time is held in memory. Two
different salts alike in 16 bytes are expected once in 10^25 runs. Status 1 when one comes twice.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID

from telepsych.core.settings import Settings
from telepsych.crypto import keyring
from telepsych.crypto.envelope import SALT_AT
from telepsych.crypto.keystore import KeystoreBase
from telepsych.crypto.scopes import patient_scope
from telepsych.crypto.vault import Vault, open_vault

SEALS, QUICK_SEALS, WORKERS = 10_000_000, 200_000, 8
KEPT, AT_ONCE = 16, 50_000
SCOPE, ROW = patient_scope(UUID(int=1)), UUID(int=2)


def work(vault: Vault, seals: int, folder: Path) -> None:
    """Seal, and write the salts out by their first byte. Every write is whole: several workers share the files."""
    for start in range(0, seals, AT_ONCE):
        buckets: list[list[bytes]] = [[] for _ in range(256)]
        for _ in range(min(AT_ONCE, seals - start)):
            salt = vault.seal(SCOPE, "fact", ROW, 1, b"private")[SALT_AT : SALT_AT + KEPT]
            buckets[salt[0]].append(salt)
        for number, salts in enumerate(buckets):
            handle = os.open(folder / f"{number:02x}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(handle, b"".join(salts))
            os.close(handle)


def seal_in_workers(vault: Vault, seals: int, folder: Path) -> bool:
    """Whether every worker came to its end."""
    vault.seal(SCOPE, "fact", ROW, 1, b"before the fork")
    children = []
    for _ in range(WORKERS):
        child = os.fork()
        if not child:
            code = 1
            try:
                work(vault, seals // WORKERS, folder)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    return all([os.waitpid(child, 0)[1] == 0 for child in children])


def counted(folder: Path) -> tuple[int, int]:
    """How many salts there are, and how many of them are different."""
    every = different = 0
    for place in folder.iterdir():
        data = place.read_bytes()
        found = {data[at : at + KEPT] for at in range(0, len(data), KEPT)}
        every += len(data) // KEPT
        different += len(found)
    return every, different


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="200,000 seals")
    seals = QUICK_SEALS if parser.parse_args().quick else SEALS
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder))
        keyring.create(settings.keyring_file)
        vault = open_vault(settings)
        KeystoreBase.metadata.create_all(vault.keystore)
        salts = Path(folder) / "salts"
        salts.mkdir()
        began = time.monotonic()
        ended = seal_in_workers(vault, seals, salts)
        every, different = counted(salts)
    print(f"{every} seals by {WORKERS} forked workers in {time.monotonic() - began:.0f} s, {every - different} repeats")
    good = ended and every == different == seals
    print("kept" if good else "BROKEN")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
