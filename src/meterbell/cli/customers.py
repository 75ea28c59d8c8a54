"""`meterbell customers`: list, get, create, delete, and links to their pages."""

from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from meterbell.cli.connection import (
    DATA_DEFAULT,
    ApiBaseOption,
    ApiKeyOption,
    DataOption,
    JsonOption,
    connected,
)
from meterbell.cli.keys import parse_seconds
from meterbell.cli.listing import (
    LimitOption,
    StartingAfterOption,
    object_path,
    page,
    show_deleted,
    show_list,
    show_object,
    text_or_dash,
)
from meterbell.cli.output import examples, print_raw_json, print_text, show_time

app = typer.Typer(
    help="Whose usage it is: list, get, create, delete, link to their pages.", no_args_is_help=True
)

_PATH = "/v1/customers"
_COLUMNS = ("id", "name", "email", "created (UTC)")

CustomerArgument = Annotated[
    str, typer.Argument(metavar="CUSTOMER", help="The customer's id: cus_….")
]


@app.command(
    "list",
    epilog=examples("meterbell customers list", "meterbell customers list --email ada@example.com"),
)
def list_customers(
    *,
    email: Annotated[str | None, typer.Option(help="Only customers with this address.")] = None,
    limit: LimitOption = 20,
    starting_after: StartingAfterOption = None,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """List customers, newest first."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.get(_PATH, page(limit, starting_after, email=email))
        show_list(
            reply,
            _COLUMNS,
            _row,
            as_json=as_json,
            empty="No customers. `meterbell customers create`.",
        )


@app.command(epilog=examples("meterbell customers get cus_1"))
def get(
    customer: CustomerArgument,
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show one customer."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        show_object(api.get(object_path(_PATH, customer)), _COLUMNS, _row, as_json=as_json)


@app.command(
    epilog=examples(
        "meterbell customers create --id cus_ada --name Ada",
        "meterbell customers create --email ada@example.com",
    )
)
def create(
    *,
    customer_id: Annotated[
        str | None,
        typer.Option("--id", help="Id of your choice, such as the one in Stripe. Default: random."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name for people.")] = None,
    email: Annotated[str | None, typer.Option(help="Address, shown and searched for.")] = None,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Create a customer."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        reply = api.post(_PATH, {"id": customer_id, "name": name, "email": email})
        show_object(reply, _COLUMNS, _row, as_json=as_json)


@app.command(epilog=examples("meterbell customers delete cus_1"))
def delete(
    customer: CustomerArgument,
    *,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Delete a customer: its usage stays, and no more is accepted."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        show_deleted(api.delete(object_path(_PATH, customer)), as_json=as_json)


@app.command(
    "page",
    epilog=examples(
        "meterbell customers page cus_ada",
        "meterbell customers page cus_ada --allow-alerts --frame-origin https://app.example.com",
    ),
)
def page_link(
    customer: CustomerArgument,
    *,
    expire_in: Annotated[str, typer.Option(help="How long it works: 15m, 1h, up to 24h.")] = "1h",
    allow_alerts: Annotated[
        bool, typer.Option("--allow-alerts", help="Let the customer set alerts for itself.")
    ] = False,
    theme: Annotated[
        Literal["auto", "light", "dark"], typer.Option(help="Colours; auto follows the system.")
    ] = "auto",
    accent: Annotated[
        str | None, typer.Option(help="Colour of links and charts, such as #3145c4.")
    ] = None,
    frame_origin: Annotated[
        list[str] | None,
        typer.Option(help="Site that may show the page in a frame; may be given several times."),
    ] = None,
    api_key: ApiKeyOption = None,
    api_base: ApiBaseOption = None,
    data: DataOption = DATA_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Print a link to a page that shows the customer its own usage and alerts."""
    with connected(api_key=api_key, api_base=api_base, data=data) as api:
        params = {
            "customer": customer,
            "expires_in": parse_seconds(expire_in, hours_max=24),
            "allow_alerts": allow_alerts,
            "theme": theme,
            "accent": accent,
            "frame_origins": frame_origin,
        }
        reply = api.post("/v1/customer_pages", params)
        if as_json:
            print_raw_json(reply.body)
        else:
            print_text(escape(reply.data["url"]))
            end = show_time(reply.data["expires_at"])
            print_text(f"[dim]Whoever has it sees the page, until {end} UTC.[/]")


def _row(customer: dict[str, Any]) -> tuple[str, ...]:
    if customer.get("deleted"):
        return (customer["id"], "(deleted)", "-", "-")
    return (
        customer["id"],
        text_or_dash(customer["name"]),
        text_or_dash(customer["email"]),
        show_time(customer["created"]),
    )
