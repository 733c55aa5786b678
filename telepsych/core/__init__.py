"""What every room stands on: units of work, actors, time, ids, errors, settings and content. Knows no Flask."""
