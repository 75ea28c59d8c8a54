"""The lists taken from Stripe's SDK are what the SDK says."""

import importlib.util
import sys
from types import ModuleType
from typing import Any, get_args, get_type_hints

from stripe.params import WebhookEndpointCreateParams

from meterbell.wire.event_types import API_VERSIONS, EVENT_TYPES
from meterbell.wire.versions import DEFAULT_API_VERSION
from tests.support.tree import ROOT


def generator() -> ModuleType:
    """Return `tools/generate_event_types.py` as a module."""
    path = ROOT / "tools/generate_event_types.py"
    spec = importlib.util.spec_from_file_location("generate_event_types", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words_of(annotation: Any) -> set[str]:  # noqa: ANN401 - an annotation can be any object
    """Return the words of all literals inside an annotation."""
    if isinstance(annotation, str):
        return {annotation}
    return {word for part in get_args(annotation) for word in words_of(part)}


def test_the_module_is_what_the_script_makes() -> None:
    made = generator()

    assert made.TARGET.read_text() == made.render()


def test_the_lists_are_those_of_the_sdk() -> None:
    # Read one by one: other parameters name types that exist for type checkers only.
    annotations = WebhookEndpointCreateParams.__annotations__
    names = vars(sys.modules[WebhookEndpointCreateParams.__module__])
    hints = {
        name: get_type_hints(type(name, (), {"__annotations__": {name: annotations[name]}}), names)
        for name in ("enabled_events", "api_version")
    }

    assert words_of(hints["enabled_events"]["enabled_events"]) == EVENT_TYPES | {"*"}
    assert words_of(hints["api_version"]["api_version"]) == API_VERSIONS


def test_what_meterbell_sends_can_be_subscribed_to() -> None:
    ours = {
        "billing.alert.triggered",
        "billing.meter.created",
        "billing.meter.deactivated",
        "billing.meter.reactivated",
        "billing.meter.updated",
        "customer.created",
        "customer.deleted",
        "customer.updated",
    }

    assert ours <= EVENT_TYPES
    assert DEFAULT_API_VERSION in API_VERSIONS
