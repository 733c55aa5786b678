"""The authorization matrix: every door × persona × compartment, against the table in `config/permissions`.

`rehearsal` keeps the practice as it was, `world` has the people and what lies in their records, `routes` and `services`
know how to call a door, `live` and `pushes` the sockets. To add a door: see the top of `config/permissions/doors.toml`.
"""
