"""JSON with colours for pages: spans with classes, made on the server, everything escaped."""

import re

import msgspec
from markupsafe import Markup, escape

from meterbell.wire.json import encode_json

SHOWN_CHARACTERS_MAX = 50_000
_CUT = "\n… the rest is left out here."
_TOKEN = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*")(?=:)|(?P<string>"(?:[^"\\]|\\.)*")'
    r"|(?P<number>-?[0-9][0-9.eE+-]*)|(?P<word>true|false|null)"
)


def coloured_json(value: object) -> Markup:
    """Return a JSON-able value over several lines, as HTML that holds nothing but text and spans.

    What is very long is cut.
    """
    text = msgspec.json.format(encode_json(value), indent=2).decode()
    if len(text) > SHOWN_CHARACTERS_MAX:
        text = text[:SHOWN_CHARACTERS_MAX] + _CUT
    parts: list[Markup] = []
    end = 0
    for token in _TOKEN.finditer(text):
        parts.append(escape(text[end : token.start()]))
        parts.append(Markup('<span class="json-{}">{}</span>').format(token.lastgroup, token[0]))
        end = token.end()
    parts.append(escape(text[end:]))
    return Markup("").join(parts)
