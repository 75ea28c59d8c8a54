"""Lines to paste into a terminal or a program, with this server's address and a key of the mode."""

import shlex
from dataclasses import dataclass
from urllib.parse import urlsplit

from meterbell.settings import Settings

_REPORT_CURL = """\
curl {url}/v1/billing/meter_events -u {key}: \\
  -d event_name=requests \\
  -d "payload[stripe_customer_id]=cus_1" \\
  -d "payload[value]=5"
"""
_ALERT_CURL = """\
curl {url}/v1/billing/alerts -u {key}: \\
  -d title="80,000 used" \\
  -d alert_type=usage_threshold \\
  -d "usage_threshold[meter]=mtr_…" \\
  -d "usage_threshold[gte]=80000" \\
  -d "usage_threshold[recurrence]=one_time"
"""
_VERIFY_CURL = """\
# A delivery has the header  Stripe-Signature: t=TIME,v1=SIGNATURE
# SIGNATURE is what this prints for the same TIME, body and signing secret:
printf '%s.%s' "$TIME" "$BODY" | openssl dgst -sha256 -hmac "whsec_…"
"""
_CLIENT_PYTHON = """\
import stripe

client = stripe.StripeClient(
    "{key}",
    base_addresses=dict.fromkeys(("api", "connect", "files", "meter_events"), "{url}"),
)
"""
_REPORT_PYTHON = (
    _CLIENT_PYTHON
    + """\
client.v1.billing.meter_events.create({{
    "event_name": "requests",
    "payload": {{"stripe_customer_id": "cus_1", "value": "5"}},
}})
"""
)
_ALERT_PYTHON = (
    _CLIENT_PYTHON
    + """\
client.v1.billing.alerts.create({{
    "title": "80,000 used",
    "alert_type": "usage_threshold",
    "usage_threshold": {{"meter": "mtr_…", "gte": 80000, "recurrence": "one_time"}},
}})
"""
)
_VERIFY_PYTHON = """\
import stripe

# payload: the body as it came, in bytes; signature: the header Stripe-Signature
event = stripe.Webhook.construct_event(payload, signature, "whsec_…")
if event["type"] == "billing.alert.triggered":
    triggered = event["data"]["object"]
    print(triggered["customer"], triggered["value"])
"""
_CLIENT_NODE = """\
import Stripe from "stripe";

const stripe = new Stripe("{key}", {{
  host: "{host}",
  port: {port},
  protocol: "{scheme}",
}});
"""
_REPORT_NODE = (
    _CLIENT_NODE
    + """\
await stripe.billing.meterEvents.create({{
  event_name: "requests",
  payload: {{ stripe_customer_id: "cus_1", value: "5" }},
}});
"""
)
_ALERT_NODE = (
    _CLIENT_NODE
    + """\
await stripe.billing.alerts.create({{
  title: "80,000 used",
  alert_type: "usage_threshold",
  usage_threshold: {{ meter: "mtr_…", gte: 80000, recurrence: "one_time" }},
}});
"""
)
_VERIFY_NODE = """\
import Stripe from "stripe";

// payload: the body as it came; signature: the header Stripe-Signature
const event = Stripe.webhooks.constructEvent(payload, signature, "whsec_…");
if (event.type === "billing.alert.triggered") {{
  console.log(event.data.object.customer, event.data.object.value);
}}
"""
_TEMPLATES: dict[str, tuple[str, str, str]] = {
    "Report usage": (_REPORT_CURL, _REPORT_PYTHON, _REPORT_NODE),
    "Create an alert": (_ALERT_CURL, _ALERT_PYTHON, _ALERT_NODE),
    "Verify a webhook": (_VERIFY_CURL, _VERIFY_PYTHON, _VERIFY_NODE),
}
LANGUAGES = ("Shell", "Python", "Node")


def key_option(*, livemode: bool) -> str:
    """Return what a command to paste needs besides in live mode."""
    return " --api-key sk_live_…" if livemode else ""


def send_command(event_name: str, customer: str = "cus_1", *, livemode: bool) -> str:
    """Return the line that reports usage from a shell, which runs nothing that is in a name."""
    names = f"--event-name {shlex.quote(event_name)} --customer {shlex.quote(customer)}"
    return f"meterbell send {names} --value 5{key_option(livemode=livemode)}"


def verify_snippet(secret: str = "") -> str:
    """Return Python that checks an event's signature, with a secret or a place for one."""
    return _VERIFY_PYTHON.replace("whsec_…", secret or "whsec_…").rstrip()


@dataclass(frozen=True, slots=True)
class Snippets:
    """What to do, and how in each language."""

    title: str
    by_language: list[tuple[str, str]]


def snippets(settings: Settings, key: str) -> list[Snippets]:
    """Return snippets that work once an id of theirs is put in.

    Args:
        settings: Of this server.
        key: An API key, or what stands for one.
    """
    parts = urlsplit(settings.base_url)
    facts = {
        "url": settings.base_url,
        "key": key,
        "host": parts.hostname or "",
        "port": parts.port or {"http": 80, "https": 443}[parts.scheme],
        "scheme": parts.scheme,
    }
    return [
        Snippets(
            title,
            [
                (language, text.format_map(facts).rstrip())
                for language, text in zip(LANGUAGES, texts, strict=True)
            ],
        )
        for title, texts in _TEMPLATES.items()
    ]
