"""The cast as people who sign in."""

import pytest
from support.cast import Cast

from accounts.test_sign_in import PASSWORD, SEED
from telepsych.accounts import factors, passwords
from telepsych.accounts.models import Person
from telepsych.core.work import Practice


@pytest.fixture
def known(practice: Practice, cast: Cast) -> Cast:
    """The cast with passwords; the clinician also has an authenticator."""
    hashed = passwords.hash_password(practice.vault, PASSWORD)
    for who in (cast.patient, cast.clinician, cast.staff):
        with cast.system() as work:
            factors.set_password(work, work.session.get_one(Person, who.person_id), hashed)
    with cast.system() as work:
        factors.set_totp(work, work.session.get_one(Person, cast.clinician.person_id), SEED)
    return cast
