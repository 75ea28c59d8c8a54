"""What a page says once after something was done. Names travel in addresses, texts don't."""

NOTICES = {
    "alert_activated": "The alert is active: the next usage at or above its threshold triggers it.",
    "alert_archived": "The alert is archived. It can't be brought back.",
    "alert_created": "The alert is active and watches usage from now on.",
    "alert_deactivated": "The alert is inactive: usage goes on counting, nothing triggers.",
    "delivery_resent": "It is sent again, with the same id and body.",
    "failed_resent": "What failed in that time is being sent again.",
    "key_revoked": "The key is revoked: it is refused within a second.",
    "meter_created": "The meter is made: report usage under its event name.",
    "meter_deactivated": "The meter is inactive: usage for it is refused until it is reactivated.",
    "meter_reactivated": "The meter is active and takes usage again.",
    "meter_renamed": "The meter has a new name.",
    "signed_out": "You are signed out.",
    "some_failed_resent": "A part of what failed is sent again. Do it once more for the rest.",
    "test_event_sent": "A test event is on its way: what comes back is shown here.",
    "webhook_changed": "The endpoint is changed.",
    "webhook_deleted": "The endpoint is deleted.",
    "webhook_disabled": "The endpoint is disabled: nothing is sent to it.",
    "webhook_enabled": "The endpoint is enabled: what waited for it is sent.",
}
