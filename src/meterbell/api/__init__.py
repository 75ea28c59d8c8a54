"""The HTTP API: authenticate → decode → validate → call → render."""
