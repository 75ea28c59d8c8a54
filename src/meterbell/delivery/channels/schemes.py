"""Which of Apprise's services a channel may use, and which of their options. An explicit policy.

A service that is in neither list, because a newer Apprise brought it, is refused.
"""

_ALLOWED = """
46elks amqp amqps apprise apprises atalk azure bark barks betterstack bluesky brevo bsky
bulksms bulkvs burstsms chanify clickatell clicksend cliq cm d7sms deltachat deltachats
dingtalk discord dot eight00com elks emby embys enigma2 enigma2s evolution evolutions exotel
fcm feishu firehydrant flock flowtriq flowtriqs fluxer fluxers form forms freemobile gchat
github goalert goalerts gorush gorushs gotify gotifys groundmail groupme guilded gupshup
hassio hassios httpsms humhub humhubs ifttt ilert incidentio infobip irc ircs jellyfin
jellyfins jira join json jsons kakao kakaotalk kaleyra klr kodi kodis kook kudosity
kumulos lametric lametrics lark lauther lfg line mailersend mailgun mailto mailtos mastodon
mastodons matrix matrixs misskey misskeys mmost mmosts mobilemessage mobilemsg msg91 msgbird
ncloud nclouds nctalk nctalks nexmo nostr notica noticas notifiarr notifico notificos notifyre
ntfy ntfys o365 octopush onebot onebots onesignal opsgenie pagerduty pagertree parsep parseps
pbul pinglet pinglets pingram pjet pjets plivo postmark pover prowl psafer psafers push
pushdeer pushdeers pushed pushme pushplus pushward pushy qq reddit resend revolt ringc rocket
rockets ryver schan sendgrid sendpulse serwersms ses session sessions seven sfr signal
signalgrid signals signl4 simplepush sinch slack smsc smseagle smseagles smsmanager smsmgr
smstunnel smtp2go sns sogs sparkpost spike splunk spugpush spush squadcast stackfield strmlabs
synology synologys telesign telnyx tgram threema toot toots trigv trigvs tweet twilio twist
twitter viber victorops voipms vonage webex wechat wecom wecombot whapi whatsapp workflow
workflows wpush wxpusher wxteams x xbmc xbmcs xmatters xml xmls youlmk zalo zcliq zohocliq
zoom zulip
"""
ALLOWED = frozenset(_ALLOWED.split())
"""Schemes of services that are reached over the network."""

_DESKTOP = "it shows something on the server's own machine, where nobody looks"
_PACKAGES = "it needs packages that meterbell does not come with"
_DATAGRAMS = "it can't tell whether a message has arrived"
DENIED: dict[str, str] = {
    **dict.fromkeys(("blink1", "dbus", "gio", "glib", "gnome", "kde", "macosx", "qt"), _DESKTOP),
    **dict.fromkeys(("syslog", "windows"), _DESKTOP),
    **dict.fromkeys(("growl", "mqtt", "mqtts", "smpp", "smpps", "xmpp", "xmpps"), _PACKAGES),
    **dict.fromkeys(("aprs", "rsyslog"), _DATAGRAMS),
    **dict.fromkeys(("dapnet", "kavenegar"), "it sends what is secret in the clear"),
    "vapid": "it reads keys from files of the server",
}
"""Schemes that are refused, and why."""

_FILES = "a channel reads no files of the server"
_OURS = "meterbell tries again by itself"
REFUSED_OPTIONS: dict[str, str] = {
    **dict.fromkeys(("attach", "keyfile", "subfile", "template"), _FILES),
    **dict.fromkeys(("pgp", "pgpprv", "pgppub", "wkd", "store"), _FILES),
    **dict.fromkeys(("retry", "wait"), _OURS),
    **dict.fromkeys(("cto", "rto"), "the setting webhook_timeout_seconds bounds an attempt"),
    "optional": "a failure that counts as a success would never be seen",
    "redirect": "redirects are never followed",
    "verify": "certificates are always verified",
}
"""Options in a URL's query that are refused, and why."""

_SHOWS_HOST = """
amqp amqps apprise apprises form forms gotify gotifys irc ircs json jsons mailto mailtos mmost
mmosts ncloud nclouds nctalk nctalks rocket rockets workflow workflows xml xmls
"""
SHOWS_HOST = frozenset(_SHOWS_HOST.split())
"""Schemes whose URL names a host where others have a token."""

PLAIN = frozenset(["form", "forms", "json", "jsons", "mailto", "mailtos", "xml", "xmls"])
"""Schemes of what takes a text as it is; others may see mark-up and mentions in it."""

SYSTEM_PORTS = (25, 80, 443, 465, 587)
"""Of the ports below 1024, those of mail and of the web."""


def refusal_of_scheme(scheme: str) -> str | None:
    """Return why a service may not be used, or None if it may."""
    if scheme in ALLOWED:
        return None
    reason = DENIED.get(scheme, "it is none that meterbell knows")
    return f"{scheme}:// can't be used: {reason}."


def refusal_of_options(names: list[str]) -> str | None:
    """Return why an option of a URL may not stand there, or None if all may."""
    for name in names:
        if name.lower() in REFUSED_OPTIONS:
            return f"the option {name.lower()} can't be used: {REFUSED_OPTIONS[name.lower()]}."
    return None


def has_secure_sibling(scheme: str) -> bool:
    """Return whether a scheme sends in the clear, and another one does the same over TLS."""
    return f"{scheme}s" in ALLOWED
