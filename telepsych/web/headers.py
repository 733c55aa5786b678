"""Security headers on every response, and the nonce that the content security policy lets scripts through by."""

import secrets

from flask import Flask, Response, g, request

from telepsych.web.doors import practice
from telepsych.web.reports import PATH as REPORTS

CAMERA_PAGES = "visits."
"""Endpoints that may ask for camera and microphone: the device test, the waiting room and the room itself."""


def csp_nonce() -> str:
    """This response's script nonce."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def protect(app: Flask, live_origin: str) -> None:
    """Set the headers of `docs/architecture.md` on every response of the app, errors and static files included."""

    @app.after_request
    def headers(response: Response) -> Response:
        for name, value in _headers(live_origin).items():
            response.headers.setdefault(name, value)
        return response


def _headers(live_origin: str) -> dict[str, str]:
    camera = "self" if (request.endpoint or "").startswith(CAMERA_PAGES) else ""
    values = {
        "Content-Security-Policy": _policy(live_origin),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Reporting-Endpoints": f'telepsych="{REPORTS}"',
        "Permissions-Policy": f"camera=({camera}), microphone=({camera}), geolocation=(), payment=(), usb=()",
        "Cache-Control": "no-store",
    }
    if practice.settings.is_https:
        values["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    return values


def _policy(live_origin: str) -> str:
    nonce = csp_nonce()
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'nonce-{nonce}' 'strict-dynamic'",
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "media-src 'self' blob:",
            f"connect-src 'self' {live_origin}".rstrip(),
            "worker-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "object-src 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types telepsych",
            f"report-uri {REPORTS}",
            "report-to telepsych",
        )
    )
