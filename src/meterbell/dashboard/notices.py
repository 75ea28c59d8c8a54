"""What a page says once after something was done. Names travel in addresses, texts don't."""

NOTICES = {
    "alert_activated": "The alert is active: the next usage at or above its threshold triggers it.",
    "alert_archived": "The alert is archived. It can't be brought back.",
    "alert_created": "The alert is active and watches usage from now on.",
    "alert_deactivated": "The alert is inactive: usage goes on counting, nothing triggers.",
    "key_revoked": "The key is revoked: it is refused within a second.",
    "signed_out": "You are signed out.",
}
