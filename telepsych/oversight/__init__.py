"""Compliance: who looked, emergency access, the weekly review, dated rules, requests about records."""
