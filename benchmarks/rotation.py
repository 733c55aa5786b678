"""K7 in full: 100,000 data keys get a new root key while everybody reads, once undisturbed and once with 50 kills.

Prints how long a rotation took, how much was read meanwhile and how many reads failed; status 1 when a read failed, a
wrap was left behind, or an undisturbed rotation took more than ten minutes.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.many_keys import Readers, add_keys, all_keys, start_rotator

from telepsych.core.settings import Settings
from telepsych.crypto import keyring, rotation
from telepsych.crypto.keystore import KeystoreBase
from telepsych.crypto.vault import Vault, open_vault

KEYS, KILLS, QUICK_KEYS, QUICK_KILLS = 100_000, 50, 5_000, 5
LONGEST = 600.0
"""Seconds for an undisturbed rotation on two cores."""
BATCH = 1_000


def prepare(folder: Path) -> Vault:
    settings = Settings(data=folder)
    keyring.create(settings.keyring_file)
    vault = open_vault(settings)
    KeystoreBase.metadata.create_all(vault.keystore)
    return vault


def undisturbed(settings: Settings) -> float:
    """Seconds of one rotation, without the start of the process."""
    with start_rotator(settings, BATCH) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        began = time.monotonic()
        process.wait()
    assert process.returncode == 0
    return time.monotonic() - began


def with_kills(settings: Settings, kills: int, longest: float) -> int:
    """Kill rotators at any moment, then let one finish. Returns how many were killed at work."""
    killed = 0
    for _ in range(kills * 20):
        with start_rotator(settings, BATCH) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(random.uniform(0, longest / kills * 2))
            process.send_signal(signal.SIGKILL)
        killed += process.returncode == -signal.SIGKILL
        if killed == kills:
            break
    undisturbed(settings)
    return killed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5,000 keys and 5 kills")
    quick = parser.parse_args().quick
    keys, kills = (QUICK_KEYS, QUICK_KILLS) if quick else (KEYS, KILLS)
    with tempfile.TemporaryDirectory() as folder:
        vault = prepare(Path(folder))
        known = add_keys(vault.keystore, vault.provider, keys)
        with Readers(Settings(data=Path(folder)), known).running() as readers:
            seconds = undisturbed(Settings(data=Path(folder)))
            first = readers.reads
            killed = with_kills(Settings(data=Path(folder)), kills, min(seconds, 120.0))
            readers.some_more()
        primary = vault.provider.status()[0].id
        left = keys - rotation.wraps_by_root(vault.keystore).get(primary, 0)
        intact = all_keys(vault.keystore, vault.provider) == known
    print(f"{keys} data keys wrapped anew in {seconds:.1f} s ({keys / seconds:.0f} a second), {first} reads meanwhile")
    print(f"{killed} kills; {readers.reads} reads in all, {len(readers.failures)} failed; {left} wraps left behind")
    good = not readers.failures and not left and intact and killed == kills and seconds <= LONGEST
    print("kept" if good else f"BROKEN {readers.failures[:3]}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
