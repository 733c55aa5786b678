"""Passkeys (WebAuthn): making one and showing one. The person is always verified, so a passkey counts as two factors.

What a browser answers is checked against the exact origin and relying party, and against a challenge of ours that it
uses up, right or wrong. A passkey that counts its uses must count on; one that went back is a copy and opens nothing.
"""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import webauthn
from sqlalchemy import select, update
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    RegistrationCredential,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from telepsych.accounts import challenges
from telepsych.accounts.models import ChallengeUse, Factor, FactorKind, Person
from telepsych.core.actor import Actor
from telepsych.core.errors import Invalid
from telepsych.core.settings import Settings
from telepsych.core.words import gettext
from telepsych.core.work import Practice, Work

HANDLE_BYTES = 64
PATIENCE = 5 * 60 * 1000
"""Milliseconds the browser gives a person; as long as the challenge lives."""
LONGEST_ANSWER = 20_000
LOOPBACK = "localhost"
READING = (WebAuthnException, ValueError, KeyError, TypeError)
"""What the library raises over answers that are no answers."""


@dataclass(frozen=True, slots=True)
class Site:
    """The relying party as browsers see it."""

    rp_id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Browser:
    """Where an answer comes from: the site, and something only this browser holds."""

    site: Site | None
    bound_to: str


@dataclass(frozen=True, slots=True)
class Made:
    """A new passkey, checked."""

    proof: bytes
    sign_count: int
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """A passkey that was shown, checked; it counts once `note_use` says so."""

    factor_id: UUID
    person_id: UUID
    sign_count: int
    backed_up: bool


def site_of(settings: Settings, host: str) -> Site | None:
    """The site of an operator's origin, else localhost at the port asked for. WebAuthn knows no bare addresses."""
    origin = (settings.origin or f"http://{host}").rstrip("/")
    name = urlsplit(origin).hostname or ""
    if not settings.origin and name != LOOPBACK:
        return None
    return None if _is_address(name) else Site(name, origin)


# Making one


def options_for_new(work: Work, browser: Browser, person: Person) -> str:
    """What the browser needs to make a passkey for a person, as JSON. Gives them a handle if they have none."""
    site = _site(browser)
    if person.handle is None:
        person.handle = secrets.token_bytes(HANDLE_BYTES)
    options = webauthn.generate_registration_options(
        rp_id=site.rp_id,
        rp_name=work.practice.settings.practice_name,
        user_id=person.handle,
        user_name=person.email or person.name,
        user_display_name=person.name,
        challenge=challenges.issue(work, ChallengeUse.NEW, browser.bound_to, person.id),
        timeout=PATIENCE,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=_descriptors(passkeys_of(work, person.id)),
    )
    return webauthn.options_to_json(options)


def check_new(practice: Practice, browser: Browser, answer: str, person_id: UUID) -> Made:
    """Check a browser's answer to `options_for_new`; the challenge is used up. Raises `Invalid`."""
    site = _site(browser)
    try:
        credential = webauthn.helpers.parse_registration_credential_json(_short(answer))
        challenge = _take_challenge(practice, browser, credential, ChallengeUse.NEW, person_id)
        found = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except READING:
        raise _not_right() from None
    return Made(
        proof=_proof(found.credential_id),
        sign_count=found.sign_count,
        details={
            "id": bytes_to_base64url(found.credential_id),
            "public_key": bytes_to_base64url(found.credential_public_key),
            "aaguid": found.aaguid,
            "device_type": found.credential_device_type.value,
            "backed_up": found.credential_backed_up,
            "transports": [one.value for one in credential.response.transports or []],
        },
    )


# Showing one


def options_for_sign_in(work: Work, browser: Browser) -> str:
    """What the browser needs to let somebody choose a passkey of theirs, as JSON. Says nothing about anybody."""
    challenge = challenges.issue(work, ChallengeUse.SIGN_IN, browser.bound_to)
    return _options(_site(browser), challenge, [])


def options_for_step_up(work: Work, browser: Browser, person_id: UUID) -> str:
    """The same for somebody who is signed in and shows a passkey of their own once more."""
    challenge = challenges.issue(work, ChallengeUse.STEP_UP, browser.bound_to, person_id)
    return _options(_site(browser), challenge, passkeys_of(work, person_id))


def check_shown(
    practice: Practice, browser: Browser, answer: str, use: ChallengeUse, person_id: UUID | None = None
) -> Shown:
    """Check a browser's answer to a challenge, which is used up. Raises `Invalid` alike for whatever is wrong."""
    site = _site(browser)
    try:
        credential = webauthn.helpers.parse_authentication_credential_json(_short(answer))
        challenge = _take_challenge(practice, browser, credential, use, person_id)
        factor, person = _whose(practice, credential)
        if person_id not in (None, factor.person_id) or not _is_handle(credential, person.handle):
            raise _not_right()
        found = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            credential_public_key=base64url_to_bytes(factor.details["public_key"]),
            credential_current_sign_count=factor.sign_count or 0,
            require_user_verification=True,
        )
    except READING:
        raise _not_right() from None
    return Shown(factor.id, factor.person_id, found.new_sign_count, found.credential_backed_up)


def note_use(work: Work, shown: Shown) -> None:
    """Count a use of a passkey. Raises `Invalid` when it was removed or used further meanwhile."""
    counted = update(Factor).where(Factor.id == shown.factor_id, Factor.ended_at.is_(None))
    if shown.sign_count:
        counted = counted.where(Factor.sign_count < shown.sign_count)
    if work.changed(counted.values(sign_count=shown.sign_count, used_at=work.now)) != 1:
        raise _not_right()
    factor = work.session.get_one(Factor, shown.factor_id, populate_existing=True)
    if factor.details["backed_up"] != shown.backed_up:
        factor.details = factor.details | {"backed_up": shown.backed_up}


def passkeys_of(work: Work, person_id: UUID) -> list[Factor]:
    """A person's passkeys, the oldest first."""
    mine = select(Factor).where(
        Factor.person_id == person_id, Factor.kind == FactorKind.PASSKEY, Factor.ended_at.is_(None)
    )
    return list(work.session.scalars(mine.order_by(Factor.created_at, Factor.id)))


def _take_challenge(
    practice: Practice,
    browser: Browser,
    credential: RegistrationCredential | AuthenticationCredential,
    use: ChallengeUse,
    person_id: UUID | None,
) -> bytes:
    """The challenge that was answered, if it is ours; it is used up whatever the rest of the answer is worth."""
    said = parse_client_data_json(credential.response.client_data_json)
    nobody = Actor(id=None, label="public:passkey")
    with practice.begin(nobody, public="passkey") as work:
        is_ours = challenges.use_up(work, said.challenge, use, browser.bound_to, person_id)
    if not is_ours or said.cross_origin:
        raise _not_right()
    return said.challenge


def _whose(practice: Practice, credential: AuthenticationCredential) -> tuple[Factor, Person]:
    with practice.begin(Actor(id=None, label="public:passkey"), writes=False, public="passkey") as work:
        mine = select(Factor).where(Factor.proof == _proof(credential.raw_id), Factor.kind == FactorKind.PASSKEY)
        factor = work.session.scalar(mine.where(Factor.ended_at.is_(None)))
        person = work.session.get(Person, factor.person_id) if factor else None
        if factor is None or person is None or person.left_at is not None:
            raise _not_right()
        assert factor.details  # opened here, inside the unit
        return factor, person


def _is_handle(credential: AuthenticationCredential, handle: bytes | None) -> bool:
    """A browser that names the person must name the right one; with a list of passkeys it may name nobody."""
    return credential.response.user_handle in (None, handle)


def _options(site: Site, challenge: bytes, passkeys: Iterable[Factor]) -> str:
    options = webauthn.generate_authentication_options(
        rp_id=site.rp_id,
        challenge=challenge,
        timeout=PATIENCE,
        allow_credentials=_descriptors(passkeys),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


def _descriptors(passkeys: Iterable[Factor]) -> list[PublicKeyCredentialDescriptor]:
    known = {one.value for one in AuthenticatorTransport}
    return [
        PublicKeyCredentialDescriptor(
            id=base64url_to_bytes(one.details["id"]),
            transports=[AuthenticatorTransport(name) for name in one.details["transports"] if name in known] or None,
        )
        for one in passkeys
    ]


def _site(browser: Browser) -> Site:
    if browser.site is None:
        raise Invalid(gettext("Passkeys don't work at this address of the page."))
    return browser.site


def _proof(credential_id: bytes) -> bytes:
    return hashlib.sha256(credential_id).digest()


def _short(answer: str) -> str:
    if len(answer) > LONGEST_ANSWER:
        raise _not_right()
    return answer


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _not_right() -> Invalid:
    return Invalid(gettext("We couldn't use this passkey. Please try again, or sign in another way."))
