"""All routes of the dashboard. Tests go through them, so a page that is added is tested, too."""

from meterbell.dashboard.pages import (
    alert,
    alerts,
    audit,
    channel,
    channels,
    customer,
    customer_link,
    customers,
    delivery,
    developer_errors,
    developer_requests,
    developers,
    events,
    meter,
    meter_events,
    meters,
    new_alert,
    new_channel,
    overview,
    patterns,
    sign_in,
    webhook,
    webhook_form,
    webhooks,
)
from meterbell.dashboard.pages.find import HOME, search_page
from meterbell.dashboard.visit import Page, Route, Stream

SIGN_IN = sign_in.PAGE
HOME_PATH = HOME.path


def _all() -> list[Route]:
    return ROUTES


ROUTES: list[Route] = [
    *overview.ROUTES,
    *alerts.ROUTES,
    *new_alert.ROUTES,
    *alert.ROUTES,
    *meters.ROUTES,
    *meter.ROUTES,
    *customers.ROUTES,
    *customer.ROUTES,
    *customer_link.ROUTES,
    *meter_events.ROUTES,
    *events.ROUTES,
    *webhooks.ROUTES,
    *webhook_form.ROUTES,
    *webhook.ROUTES,
    *delivery.ROUTES,
    *channels.ROUTES,
    *new_channel.ROUTES,
    *channel.ROUTES,
    *developers.ROUTES,
    *developer_requests.ROUTES,
    *developer_errors.ROUTES,
    *audit.ROUTES,
    *patterns.ROUTES,
    *sign_in.ROUTES,
    HOME,
    search_page(_all),
    Stream(path="/live"),
]
PAGES = [route for route in ROUTES if isinstance(route, Page)]
