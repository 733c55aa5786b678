"""Booking visits."""
