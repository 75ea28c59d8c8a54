"""A server that traces sends its spans to the collector that the standard variables name."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from typing_extensions import override

from tests.support.server import ServerProcess


def test_spans_reach_the_collector(tmp_path: Path) -> None:
    received: list[ExportTraceServiceRequest] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    collector = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    try:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        with ServerProcess(
            tmp_path / "data", arguments=["--traces"], environment=environment
        ) as server:
            server.client.v1.customers.create({"name": "Ada"})
            server.stop()
    finally:
        collector.shutdown()
        thread.join()
        collector.server_close()

    spans = [
        span
        for request in received
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert {"GET", "POST", "commit"} <= {span.name for span in spans}
    (created,) = [span for span in spans if span.name == "POST"]
    attributes = {pair.key: pair.value for pair in created.attributes}
    assert attributes["url.path"].string_value == "/v1/customers"
    assert attributes["http.response.status_code"].int_value == 200
    assert "Ada" not in str(received)
    assert server.key not in str(received)
