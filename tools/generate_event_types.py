"""Writes `wire/event_types.py` from the types of the installed `stripe` package.

Run it after taking a newer `stripe`: `.venv/bin/python tools/generate_event_types.py`.
"""

import re
from pathlib import Path
from textwrap import wrap

import stripe

TARGET = Path(__file__).parent.parent / "src/meterbell/wire/event_types.py"
EVENT_CLASSES = Path(stripe.__file__).parent / "events" / "_event_classes.py"
HEADER = '''"""Types of events and API versions that Stripe knows.

Made by `tools/generate_event_types.py`.
"""
'''


def literals(name: str, source: str) -> list[str]:
    """Return the words of the `Literal` that a parameter is annotated with."""
    match = re.search(rf"\b{name}: .*?Literal\[(.*?)\]", source, re.DOTALL)
    assert match is not None, name
    return sorted(set(re.findall(r'"([^"]+)"', match.group(1))))


def render() -> str:
    """Return the module's text."""
    params = stripe.params.__file__
    assert params is not None
    source = (Path(params).parent / "_webhook_endpoint_create_params.py").read_text()
    types = [word for word in literals("enabled_events", source) if word != "*"]
    versions = literals("api_version", source)
    thin = sorted(set(re.findall(r'"(v[12]\.[a-z0-9_.]+)"', EVENT_CLASSES.read_text())))
    parts = [HEADER]
    for name, words, text in (
        ("EVENT_TYPES", types, "Types that a webhook endpoint can be subscribed to, besides `*`."),
        (
            "THIN_EVENT_TYPES",
            thin,
            "Types that a thin destination can be subscribed to, besides `*`.",
        ),
        ("API_VERSIONS", versions, "Versions that a webhook endpoint can be created with."),
    ):
        lines = "\n".join(wrap(" ".join(words), 98, break_on_hyphens=False))
        # One word a line would make a module of 400 lines.
        block = f'    """\n{lines}\n""".split()  # noqa: SIM905 - see the generator'
        parts.append(f'{name} = frozenset(\n{block}\n)\n"""{text}"""\n')
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(render())
