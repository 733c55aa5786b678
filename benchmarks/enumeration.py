"""Whether the time of a wrong sign-in tells if there is an account (A11): 2,000 samples each way, in turn, in one run.

Argon2 is made cheap here: in its own quarter of a second a leak of a millisecond would drown, so this looks closer.
Holds when the two are not told apart (Mann-Whitney, p > 0.01) or their medians lie less than 5 ms apart.

    python benchmarks/enumeration.py [--quick]
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from argon2 import PasswordHasher
from support.practice import TUESDAY_MORNING, build_practice, create_tables

from telepsych.accounts import factors, passwords
from telepsych.accounts import service as accounts
from telepsych.app import create_app
from telepsych.core.actor import Role, command
from telepsych.core.clock import HOUR, FrozenClock

ACCOUNTS = 20
CLOSEST = 0.005
"""Seconds."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="A tenth of the samples.")
    count = 200 if parser.parse_args().quick else 2_000
    passwords.HASHER = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
    with tempfile.TemporaryDirectory() as place:
        known, unknown = measure(Path(place), count)
    gap = abs(statistics.median(known) - statistics.median(unknown))
    p = mann_whitney(known, unknown)
    held = p > 0.01 or gap < CLOSEST
    medians = [round(statistics.median(one) * 1000, 3) for one in (known, unknown)]
    print(json.dumps({"samples": count, "median_ms": medians, "gap_ms": round(gap * 1000, 3), "p": round(p, 4)}))
    print("held" if held else "NOT HELD", "(p > 0.01, or a gap under 5 ms)")
    return 0 if held else 1


def measure(folder: Path, count: int) -> tuple[list[float], list[float]]:
    """Seconds of wrong sign-ins at accounts that are there and at others, in turn, through the whole page."""
    for part in ("records", "keystore"):
        (folder / part).mkdir()
    addresses = [f"sqlite:///{folder / part / part}.sqlite" for part in ("records", "keystore")]
    create_tables(*addresses)
    clock = FrozenClock(TUESDAY_MORNING)
    practice = build_practice(folder, *addresses, clock)
    hashed = passwords.hash_password(practice.vault, "an invented pass phrase")
    for number in range(ACCOUNTS):
        with practice.begin(command("benchmark")) as work:
            email = f"person{number}@example.org"
            person = accounts.add_person(work, name=f"Person {number}", roles={Role.PATIENT}, email=email)
            factors.set_password(work, person, hashed)
    client = create_app(practice=practice).test_client()
    page = client.get("/sign-in").get_data(as_text=True)
    token = page.split('name="csrf_token" value="')[1].split('"')[0]

    def once(email: str, number: int) -> float:
        fields = {"csrf_token": token, "email": email, "password": f"not the pass phrase {number}"}
        at = {"REMOTE_ADDR": f"198.51.{number // 250 % 250}.{number % 250}"}
        started = time.perf_counter()
        answer = client.post("/sign-in", data=fields, environ_base=at)
        taken = time.perf_counter() - started
        assert answer.status_code == 422, answer.status_code
        return taken

    samples: tuple[list[float], list[float]] = ([], [])
    for number in range(count + 20):
        clock.move(HOUR // ACCOUNTS)
        pair = (f"person{number % ACCOUNTS}@example.org", f"nobody{number % ACCOUNTS}@example.org")
        for which in (0, 1) if number % 2 else (1, 0):
            taken = once(pair[which], 2 * number + which)
            if number >= 20:  # the first ones warm everything up
                samples[which].append(taken)
    return samples


def mann_whitney(one: list[float], other: list[float]) -> float:
    """The two-sided p of the rank-sum test, by its normal approximation, which is close for hundreds of samples."""
    ranked = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    ranks = sum(place for place, (_, side) in enumerate(ranked, 1) if side == 0)
    n, m = len(one), len(other)
    mean, spread = n * (n + m + 1) / 2, math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(ranks - mean) / spread / math.sqrt(2))


if __name__ == "__main__":
    sys.exit(main())
