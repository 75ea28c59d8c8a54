"""`meterbell serve`: one flag for each setting."""

import os
from typing import Annotated

import typer

from meterbell.cli.output import examples, reported
from meterbell.settings import load_settings

EXAMPLES = examples(
    "meterbell serve",
    "meterbell serve --data /var/lib/meterbell --port 8080",
    "meterbell serve --port 0 --test-key sk_test_ci   # for scripts and CI",
)

PublicUrlOption = Annotated[
    str | None,
    typer.Option(help="Address of the dashboard for browsers on other machines: https://…"),
]
RequestLogDaysOption = Annotated[
    int | None, typer.Option(help="Days for which requests are kept in the request log.")
]
EgressAllowOption = Annotated[
    str | None,
    typer.Option(help="Hosts and ranges that webhooks may go to although they are not public."),
]
LogLevelOption = Annotated[str | None, typer.Option(help="debug, info, warning or error.")]


def serve(
    *,
    data: Annotated[str | None, typer.Option(help="Folder for everything that is kept.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 lets the system choose.")] = None,
    unix_socket: Annotated[
        str | None, typer.Option(help="Socket file to listen on besides, for the Stripe CLI.")
    ] = None,
    test_key: Annotated[
        str | None, typer.Option(help="A test-mode key to accept, for scripts and CI.")
    ] = None,
    customers_auto_create: Annotated[
        bool | None,
        typer.Option(
            "--customers-auto-create/--no-customers-auto-create",
            help="Usage for an unknown customer id creates the customer.",
        ),
    ] = None,
    identifier_days: Annotated[
        int | None, typer.Option(help="Days for which an identifier counts once (35 or more).")
    ] = None,
    retention_days: Annotated[
        int | None,
        typer.Option(
            help="Days for which raw meter events are kept (35 or more; default: for ever)."
        ),
    ] = None,
    alerts_per_scope: Annotated[
        int | None, typer.Option(help="Alerts per meter and scope.")
    ] = None,
    queue_max: Annotated[
        int | None, typer.Option(help="Meter events that may wait before 429 is answered.")
    ] = None,
    stream_events_max: Annotated[
        int | None, typer.Option(help="Meter events in one request of the v2 stream.")
    ] = None,
    checkpoint_seconds: Annotated[
        int | None, typer.Option(help="How often the state in memory is saved.")
    ] = None,
    webhook_timeout_seconds: Annotated[
        int | None, typer.Option(help="Time for one webhook attempt.")
    ] = None,
    request_log_days: RequestLogDaysOption = None,
    egress_allow: EgressAllowOption = None,
    public_url: PublicUrlOption = None,
    metrics: Annotated[
        bool | None,
        typer.Option(
            "--metrics/--no-metrics",
            help="Whether /metrics tells how the server is doing, without a key.",
        ),
    ] = None,
    traces: Annotated[
        bool | None,
        typer.Option(
            "--traces/--no-traces",
            help="Whether spans go to the OpenTelemetry collector that OTEL_… variables name.",
        ),
    ] = None,
    log_level: LogLevelOption = None,
) -> None:
    """Start the server. The first start makes the data folder and prints a test and a live key."""
    flags = dict(locals())  # each parameter is a setting
    with reported():
        from meterbell.cli.server import run  # noqa: PLC0415 - most of the program

        settings = load_settings(flags, os.environ)
        status = run(settings)
    raise typer.Exit(status)
