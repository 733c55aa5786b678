"""Speaking to somebody outside over HTTP, briefly and with little trust in the answer."""

import http.client
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

PATIENCE = 10.0
"""Seconds."""
LONGEST = 256 * 1024
"""Bytes of an answer that are read."""


class AnchorFailed(Exception):
    """An anchor did not confirm, or what it holds cannot be right. `is_absence`: it merely could not be asked."""

    def __init__(self, words: str, *, is_absence: bool = False) -> None:
        super().__init__(words)
        self.is_absence = is_absence


def ask(address: str, body: bytes | None = None, kind: str = "text/plain; charset=utf-8") -> tuple[int, bytes]:
    """POST a body, or GET without one. Returns status and body of the answer. Raises `AnchorFailed`."""
    if urlsplit(address).scheme not in ("http", "https"):
        raise AnchorFailed("its address is not one of the web")
    headers = {"Content-Type": kind} if body is not None else {}
    request = urllib.request.Request(address, data=body, headers=headers)  # noqa: S310
    try:
        with _answer(request) as answer:
            return int(answer.status or 0), answer.read(LONGEST)
    except (OSError, ValueError, http.client.HTTPException) as problem:
        raise AnchorFailed(f"it does not answer ({type(problem).__name__})", is_absence=True) from problem


def _answer(request: urllib.request.Request) -> Any:
    try:
        return urllib.request.urlopen(request, timeout=PATIENCE)  # noqa: S310
    except urllib.error.HTTPError as refused:
        return refused  # an answer all the same
