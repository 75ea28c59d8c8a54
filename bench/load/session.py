"""The token of a v2 stream, asked for with a secret key."""

import json
from http.client import HTTPConnection

_TIMEOUT_SECONDS = 10
_OK = 200


def open_session(host: str, port: int, path: str, key: str) -> str:
    """Return a new token.

    Raises:
        RuntimeError: The server gives none.
    """
    connection = HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", path, body="{}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != _OK:
        raise RuntimeError(f"{path} answers {answer.status}: {body[:300]!r}")
    return str(json.loads(body)["authentication_token"])
