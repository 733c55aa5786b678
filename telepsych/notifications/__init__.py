"""Notices outside the product: an outbox and the ways out of it. No health content, ever."""
