"""What the pages of this room ask of a request: which device, which site, where it may lead on to."""

import re
from urllib.parse import urlsplit

from flask import request

from telepsych.accounts import passkeys
from telepsych.accounts.passkeys import Browser
from telepsych.web.csrf import csrf_token
from telepsych.web.doors import practice
from telepsych.web.live_ticket import LOOPBACK

OWN_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")
LONGEST_WAY = 2_000


def device() -> str:
    """The browser and system as the person would name them."""
    agent = request.headers.get("User-Agent", "")
    browsers = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
    systems = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac", "Mac"))
    browser = next((name for mark, name in browsers if mark in agent), "A browser")
    system = next((name for mark, name in systems if mark in agent), "computer")
    return f"{browser} on {system}"


def own_path(text: str) -> str:
    """A path on this site to go on to; anything else becomes empty, which means the home page.

    Browsers drop tabs and line breaks and read `\\` as `/`, so a path with any of them is none.
    """
    if len(text) > LONGEST_WAY or not OWN_PATH.fullmatch(text) or "//" in text.partition("?")[0]:
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return "" if parts.scheme or parts.netloc else text


def browser() -> Browser:
    """This browser at this address of the page. Its page token binds what it is asked to its own answer."""
    return Browser(passkeys.site_of(practice.settings, request.host), csrf_token())


def passkey_place() -> str:
    """Where passkeys work instead, when they don't at this address: on loopback they need a name."""
    site = urlsplit(f"//{request.host}")
    if practice.settings.origin or site.hostname not in LOOPBACK or site.hostname == passkeys.LOOPBACK:
        return ""
    port = f":{site.port}" if site.port else ""
    return f"http://{passkeys.LOOPBACK}{port}"
