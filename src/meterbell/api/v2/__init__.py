"""The routes of the v2 API, in JSON."""
