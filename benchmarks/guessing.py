"""Ten thousand guesses at one password, from one address and from five hundred, over four processes (A12).

Counts how many of them are really hashed, which is what a guess is worth, and whether the owner's passkey still opens.
Each run has the clock of the machine, and lasts far less than an hour: the limit is that of an hour.

    python benchmarks/guessing.py [--quick]
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.authenticator import Authenticator
from support.cast import assemble
from support.practice import build_practice, create_tables

from telepsych.accounts import factors, passkeys, passwords, sign_in
from telepsych.accounts.models import Person
from telepsych.accounts.passkeys import Browser, Site
from telepsych.core.clock import SystemClock
from telepsych.core.errors import Invalid, TooMany
from telepsych.core.work import Practice

PROCESSES = 4
EMAIL, PASSWORD = "juniper@example.org", "an invented pass phrase"
MOST = 100
HERE = Browser(Site("localhost", "http://localhost"), "a browser")


def practice_in(folder: Path) -> Practice:
    addresses = [f"sqlite:///{folder / part / part}.sqlite" for part in ("records", "keystore")]
    return build_practice(folder, *addresses, SystemClock())


def prepare(folder: Path) -> Authenticator:
    """The cast, its patient with a password and a passkey."""
    for part in ("records", "keystore"):
        (folder / part).mkdir()
    create_tables(*(f"sqlite:///{folder / part / part}.sqlite" for part in ("records", "keystore")))
    practice = practice_in(folder)
    cast = assemble(practice)
    with cast.system() as work:
        hashed = passwords.hash_password(practice.vault, PASSWORD)
        factors.set_password(work, work.session.get_one(Person, cast.patient.person_id), hashed)
    device = Authenticator()
    with cast.begin(cast.patient, fresh=True) as work:
        asked = factors.offer_passkey(work, HERE)
    made = passkeys.check_new(practice, HERE, device.make(asked), cast.patient.person_id)
    with cast.begin(cast.patient, fresh=True) as work:
        factors.add_passkey(work, made, "My phone")
    practice.records.dispose()
    return device


def attack(folder: Path, first: int, count: int, addresses: int, told: Any) -> None:
    """One process's share of the guesses. Tells how many were hashed, and how many refused unheard."""
    practice, hashed, refused = practice_in(folder), 0, 0
    verify = passwords.HASHER.verify

    class Counting:
        def verify(self, kept: str, password: bytes) -> bool:
            nonlocal hashed
            hashed += 1
            return bool(verify(kept, password))

        def hash(self, password: bytes) -> str:
            raise AssertionError("nothing is hashed anew")

    passwords._some_hash(practice.vault)
    passwords.HASHER = Counting()  # type: ignore[assignment]
    for number in range(first, first + count):
        address = f"198.51.{number % addresses // 250}.{number % addresses % 250}"
        try:
            sign_in.with_password(practice, EMAIL, f"guess number {number}", address=address, device="")
        except TooMany:
            refused += 1
        except Invalid:
            pass
    told.put((hashed, refused))


def passkey_opens(folder: Path, device: Authenticator) -> bool:
    practice = practice_in(folder)
    with practice.begin(sign_in.Actor(id=None, label="public:sign-in"), public="sign-in") as work:
        asked = passkeys.options_for_sign_in(work, HERE)
    try:
        return bool(sign_in.with_passkey(practice, HERE, device.show(asked), device="").token)
    except Invalid:
        return False


def run(guesses: int, addresses: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        device = prepare(folder)
        context = multiprocessing.get_context("spawn")
        told, share = context.Queue(), guesses // PROCESSES
        started = time.monotonic()
        team = [
            context.Process(target=attack, args=(folder, one * share, share, addresses, told))
            for one in range(PROCESSES)
        ]
        for process in team:
            process.start()
        counts = [told.get() for _ in team]
        for process in team:
            process.join()
        return {
            "guesses": guesses,
            "addresses": addresses,
            "hashed": sum(hashed for hashed, _ in counts),
            "refused": sum(refused for _, refused in counts),
            "seconds": round(time.monotonic() - started, 1),
            "passkey_opens": passkey_opens(folder, device),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="A tenth of the guesses.")
    count = 1_000 if parser.parse_args().quick else 10_000
    results = [run(count, addresses) for addresses in (1, 500)]
    for one in results:
        print(json.dumps(one))
    held = all(0 < one["hashed"] <= MOST and one["passkey_opens"] for one in results)
    print("held" if held else "NOT HELD", f"(at most {MOST} hashes of one account an hour)")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
