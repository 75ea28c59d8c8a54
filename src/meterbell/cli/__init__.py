"""The command `meterbell`: serve, keys, and clients of a running server."""
