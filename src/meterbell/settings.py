"""Typed settings: flags over environment over file. Every one is documented here.

A setting `queue_max` is the flag `--queue-max` of `meterbell serve`, the environment variable
`METERBELL_QUEUE_MAX`, and the line `queue_max = 4000` in `meterbell.toml` in the data folder.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from meterbell.errors import SettingsError

_Positive = Annotated[int, Meta(ge=1)]

FILE_NAME = "meterbell.toml"
ENVIRONMENT_PREFIX = "METERBELL_"
SECRETS = frozenset({"secret_keys", "test_key"})
"""Settings that nobody is shown."""
_AT = re.compile(r" - at `\$\.(\w+)`")
_REASONS = {"public_url": "it is like https://meterbell.example.com, with no path behind it"}
"""Where msgspec's own words are none."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one server runs.

    Attributes:
        data: Folder with the database and everything else that is kept.
        host: Address to listen on.
        port: Port to listen on; 0 lets the system choose.
        unix_socket: A socket file to listen on besides, for the Stripe CLI; only its owner may use
            it. None for none.
        test_key: A test-mode secret key to accept besides the stored ones, for scripts and CI.
        secret_keys: Keys that the secrets in the database are encrypted with, 32 random bytes in
            base64 each, with commas between: the first encrypts, any decrypts. None for those in
            the file `secret-keys` in the data folder, which the first start makes (D5). It has no
            flag: other users of the machine can see flags.
        customers_auto_create: Usage for an unknown customer id creates the customer.
        identifier_days: For how many days an identifier counts once; at least 35 (C2).
        retention_days: For how many days of receipt raw meter events are kept, at least as many as
            `identifier_days`; None for ever. What they added to counters stays.
        alerts_per_scope: Non-archived alerts per meter and scope (A7).
        queue_max: Meter events and changes that may wait for a commit; past it 429 is answered.
        stream_events_max: Meter events in one request of the v2 stream; a body may have 4 KiB for
            each of them, and 1 MiB at least.
        checkpoint_seconds: How often the state in memory is saved, to shorten the next start.
        webhook_timeout_seconds: Time for one webhook attempt, from DNS to the answer's last byte.
        request_log_days: For how many days requests are kept in the request log; 0 for not at all.
        egress_allow: Where webhooks may be sent although the egress policy denies it (D4), with
            commas between: names of hosts, addresses, ranges of addresses. `:25` at the end allows
            that port, `http://` in front plain http in live mode.
        public_url: The address under which browsers reach the dashboard and customer pages from
            other machines, such as `https://meterbell.example.com`; None for this machine only.
        metrics: Whether `/metrics` tells how the server is doing, without a key.
        traces: Whether spans of requests, commits and deliveries go to an OpenTelemetry collector,
            which the standard `OTEL_…` variables name; needs `meterbell[otel]`.
        log_level: debug, info, warning or error.
    """

    data: str = "meterbell-data"
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 4242
    unix_socket: str | None = None
    test_key: str | None = None
    secret_keys: str | None = None
    customers_auto_create: bool = False
    identifier_days: Annotated[int, Meta(ge=35)] = 35
    retention_days: Annotated[int, Meta(ge=35)] | None = None
    alerts_per_scope: _Positive = 25
    queue_max: _Positive = 4_000
    stream_events_max: Annotated[int, Meta(ge=1, le=10_000)] = 100
    checkpoint_seconds: _Positive = 30
    webhook_timeout_seconds: _Positive = 15
    request_log_days: Annotated[int, Meta(ge=0, le=3650)] = 30
    egress_allow: str | None = None
    public_url: Annotated[str, Meta(pattern=r"^https?://[A-Za-z0-9.:\[\]-]+$")] | None = None
    metrics: bool = True
    traces: bool = False
    log_level: str = "info"

    @property
    def folder(self) -> Path:
        """The data folder."""
        return Path(self.data)

    @property
    def database(self) -> Path:
        """The database file."""
        return self.folder / "meterbell.db"

    @property
    def local_url(self) -> str:
        """The address at which this machine reaches the server, once host and port are real."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - not bound here
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """The address at which others reach the server."""
        return self.public_url or self.local_url

    @property
    def key_file(self) -> Path:
        """The file with the keys of secrets, where no setting has them."""
        return self.folder / "secret-keys"


def load_settings(flags: Mapping[str, object], environment: Mapping[str, str]) -> Settings:
    """Return the settings from flags, environment and the data folder's file, in this order.

    Args:
        flags: By setting name; None means that the flag was not given.
        environment: The process's environment.

    Raises:
        SettingsError: A value is not acceptable, or the file can't be read.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    names = {field.name for field in msgspec.structs.fields(Settings)}
    from_environment = {
        name: environment[ENVIRONMENT_PREFIX + name.upper()]
        for name in names
        if ENVIRONMENT_PREFIX + name.upper() in environment
    }
    folder = str(given.get("data") or from_environment.get("data") or Settings().data)
    file = Path(folder) / FILE_NAME
    from_file = _read_file(file)
    merged: dict[str, Any] = {**from_file, **from_environment, **given}
    if unknown := from_file.keys() - names:
        raise SettingsError(f"{file} is not acceptable: there is no setting {min(unknown)}.")
    try:
        settings = msgspec.convert(merged, Settings, strict=False)
    except msgspec.ValidationError as error:
        found = _AT.search(str(error))
        name = found[1] if found else ""
        flag = f"--{name.replace('_', '-')}"
        variable = ENVIRONMENT_PREFIX + name.upper()
        where = flag if name in given else variable if name in from_environment else file
        reason = _REASONS.get(name) or str(error).partition(" - at")[0]
        raise SettingsError(f"{name} is not acceptable, from {where}: {reason}.") from error
    if settings.retention_days is not None and settings.retention_days < settings.identifier_days:
        raise SettingsError(
            f"retention_days ({settings.retention_days}) is not acceptable: it must be at least "
            f"identifier_days ({settings.identifier_days}), because an identifier is looked up in "
            "the raw event."
        )
    return settings


def _read_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} can't be read: {error}") from error
