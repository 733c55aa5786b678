"""Instruments people answer about themselves: what is asked, how it is scored, what a score may be called."""
