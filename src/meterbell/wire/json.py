"""JSON as it goes over the wire: exact decimals become JSON numbers, digit by digit."""

import msgspec

encode_json = msgspec.json.Encoder(decimal_format="number").encode
"""Return a JSON-able object as bytes."""
