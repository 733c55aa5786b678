"""What a browser is told about reaching the other people in a visit: relayed, direct on one machine, or not at all."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from enum import StrEnum
from ipaddress import ip_address
from typing import TypedDict
from uuid import UUID

from telepsych.core.clock import MINUTE, SECOND
from telepsych.core.errors import Misconfigured

MARGIN = 30 * MINUTE
"""How long credentials outlive the slot, and how long they live at least when a visit runs over."""


class MediaPolicy(StrEnum):
    """How media may travel between the people in a visit."""

    RELAY = "relay"
    DIRECT_LOOPBACK = "direct_loopback"
    REFUSED = "refused"


class IceServer(TypedDict):
    """One entry of a browser's `iceServers`."""

    urls: list[str]
    username: str
    credential: str


class IceConfiguration(TypedDict):
    """What a page hands to `RTCPeerConnection` as it is."""

    iceServers: list[IceServer]
    iceTransportPolicy: str


def media_policy(turn_urls: Sequence[str], origin_host: str) -> MediaPolicy:
    """How media may travel for people who use this origin.

    With a TURN server everything is relayed, so that nobody learns where the other person is. Without one, direct
    candidates are fine between two pages on one machine and nowhere else.
    """
    if turn_urls:
        return MediaPolicy.RELAY
    return MediaPolicy.DIRECT_LOOPBACK if _is_loopback(origin_host) else MediaPolicy.REFUSED


def direct() -> IceConfiguration:
    """The configuration for `MediaPolicy.DIRECT_LOOPBACK`."""
    return {"iceServers": [], "iceTransportPolicy": "all"}


def ice_servers(
    turn_urls: Sequence[str], secret: str, visit_id: UUID, participant_id: UUID, now: int, slot_end: int
) -> IceConfiguration:
    """Relay-only configuration with credentials for one participant of one visit (coturn's `use-auth-secret`).

    `now` and `slot_end` are microseconds UTC. The credentials end `MARGIN` after the slot; in a visit that runs over,
    `MARGIN` from now, so a page that asks again before an ICE restart is never turned away. The relay sees a pseudonym
    and no id of ours. Raises `Misconfigured` without a server or its secret.
    """
    if not turn_urls or not secret:
        raise Misconfigured("Settings: turn_urls and turn_secret belong together; visits need both.")
    expiry = (max(now, slot_end) + MARGIN) // SECOND
    username = f"{expiry}:{_pseudonym(visit_id, participant_id)}"
    credential = base64.b64encode(hmac.digest(secret.encode(), username.encode(), "sha1")).decode()
    server: IceServer = {"urls": list(turn_urls), "username": username, "credential": credential}
    return {"iceServers": [server], "iceTransportPolicy": "relay"}


def _pseudonym(visit_id: UUID, participant_id: UUID) -> str:
    """The same for one participant throughout a visit, so that the relay's quota per user means something."""
    return hashlib.sha256(b"telepsych turn user" + visit_id.bytes + participant_id.bytes).hexdigest()[:24]


def _is_loopback(host: str) -> bool:
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
