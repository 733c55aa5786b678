"""Backup and restore: three sealed files that are never kept together, a signed manifest, and a drill that proves them.

`making` writes them, `restoring` brings a practice back into an empty place, `drill` does so where nobody looks and
tries whether everything opens.
"""
