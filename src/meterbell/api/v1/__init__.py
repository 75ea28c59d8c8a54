"""The v1 routes, a module for each kind of object."""
