"""How many random examples the tests try: `quick` by default, `deep` by HYPOTHESIS_PROFILE=deep."""

import os

from hypothesis import HealthCheck, settings


def load_profile() -> None:
    """Register the profiles and load the one that the environment names.

    Safe to call from several test modules. A failing example prints the blob that repeats it.
    """
    for name, examples in (("quick", 500), ("ci", 1000), ("deep", 10_000)):
        settings.register_profile(
            name,
            max_examples=examples,
            deadline=None,
            print_blob=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
    settings.load_profile(_name())


def part_of_examples(divisor: int) -> settings:
    """Return the loaded profile with fewer examples, for tests that support a main one."""
    loaded = settings.get_profile(_name())
    return settings(loaded, max_examples=max(1, loaded.max_examples // divisor))


def _name() -> str:
    return os.environ.get("HYPOTHESIS_PROFILE", "quick")
