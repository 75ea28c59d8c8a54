"""A mail server for tests: takes messages, or refuses them as it is told."""

import socketserver
import threading
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from types import TracebackType
from typing import Self

from typing_extensions import override

from tests.support.waiting import wait_for


class MailServer:
    """An SMTP server on a loopback port of the system's choice; a context manager.

    Attributes:
        refusal: What is said to every recipient, in place of 250.
    """

    def __init__(self) -> None:
        self.refusal: str | None = None
        self._messages: list[EmailMessage] = []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            @override
            def handle(self) -> None:
                outer._serve(self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def messages(self) -> list[EmailMessage]:
        """All messages so far."""
        return list(self._messages)

    def wait_for(self, count: int) -> list[EmailMessage]:
        """Wait until at least `count` messages have come."""
        wait_for(lambda: len(self._messages) >= count, f"message {count}")
        return self.messages

    def _serve(self, connection: socketserver.StreamRequestHandler) -> None:
        def say(line: str) -> None:
            connection.wfile.write(f"{line}\r\n".encode())

        say("220 test")
        while line := connection.rfile.readline():
            match line.split()[0].upper().decode() if line.split() else "":
                case "EHLO" | "HELO" | "MAIL" | "RSET" | "NOOP":
                    say("250 ok")
                case "RCPT":
                    say(self.refusal or "250 ok")
                case "DATA":
                    say("354 go on")
                    data = bytearray()
                    while (part := connection.rfile.readline()) not in (b".\r\n", b""):
                        data += part
                    parsed = BytesParser(policy=default).parsebytes(bytes(data))
                    self._messages.append(parsed)
                    say("250 taken")
                case "QUIT":
                    say("221 bye")
                    return
                case _:
                    say("500 what?")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
