"""Telling people: e-mail, chat and on-call services, through the library Apprise."""
