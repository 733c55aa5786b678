"""Medicines people take: the catalogue behind the check-in, and later the lists, doses and tapers."""
