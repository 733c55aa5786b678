"""Who did what to whose record, when, and why. A library: its pages are in oversight."""
