"""The load generator, a process of its own: `python -m bench.load`, orders as JSON on stdin."""
