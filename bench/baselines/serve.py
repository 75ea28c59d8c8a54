"""Runs a baseline's application in this process, on a port that the system chooses."""

import json
import socket
from pathlib import Path

import uvicorn
from fastapi import FastAPI


def serve(app: FastAPI, facts: str) -> None:
    """Serve until asked to stop; write the port to a file first."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    Path(facts).write_text(json.dumps({"port": listener.getsockname()[1]}))
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", log_level="warning", access_log=False
    )
    uvicorn.Server(config).run(sockets=[listener])
