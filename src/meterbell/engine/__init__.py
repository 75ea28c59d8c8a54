"""The rules (C*, A*) as pure code: no I/O, no clock, no database. Values come in, values go out."""
