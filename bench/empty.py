"""The baseline: the same HTTP server with a handler that reads the body and answers `{}`."""

import json
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.types import Receive, Scope, Send


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the request's body and answer nothing."""
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    Path(sys.argv[1]).write_text(json.dumps({"port": listener.getsockname()[1]}))
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[listener])
