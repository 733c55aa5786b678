"""Where a request comes from, behind a proxy or without one."""

from collections.abc import Collection
from ipaddress import IPv6Address, ip_address

from flask import request

from telepsych.web.doors import practice


def address() -> str:
    """The address of whoever is asking, for limits and devices; never kept in clear.

    A proxy of ours names it in the last entry of `X-Forwarded-For`; what a client claims stands before that, or is
    claimed by somebody who is no proxy of ours, and is not believed.
    """
    return address_behind(
        request.remote_addr or "", request.headers.get("X-Forwarded-For", ""), practice.settings.trusted_proxies
    )


def address_behind(peer: str, forwarded: str, proxies: Collection[str]) -> str:
    """The address that counts: the peer's, or what the peer says if it is a proxy of ours."""
    if peer not in proxies:
        return network_of(peer)
    said = forwarded.rpartition(",")[2].strip()
    return network_of(said) or network_of(peer)


def network_of(text: str) -> str:
    """An address as limits count it: a household's IPv6 addresses (a /64) count as one. Empty if it is none."""
    try:
        parsed = ip_address(text)
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)
