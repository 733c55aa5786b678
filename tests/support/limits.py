"""Limits for tests, which ask faster than people do; those about floods set their own."""

FASTER_THAN_PEOPLE = {"requests_by_address": 1e6, "requests_by_session": 1e6, "handshakes_by_address": 1e6}
