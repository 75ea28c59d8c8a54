"""What requests about event destinations hold."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from meterbell.api.endpoints import KNOWN_EVENT_TYPES, ROLL_SECONDS_MAX, URL_MAX
from meterbell.api.params import METADATA_KEY_MAX, METADATA_KEYS_MAX, METADATA_VALUE_MAX
from meterbell.wire.event_types import THIN_EVENT_TYPES

_Name = Annotated[str, Meta(min_length=1, max_length=255, description="A label for people.")]
_Description = Annotated[str, Meta(max_length=5000)]
_Events = Annotated[
    list[Annotated[str, Meta(max_length=255)]],
    Meta(
        max_length=len(KNOWN_EVENT_TYPES) + len(THIN_EVENT_TYPES),
        description="Types of events, or `*` for all of them.",
    ),
]
_Key = Annotated[str, Meta(min_length=1, max_length=METADATA_KEY_MAX)]
_Value = Annotated[str, Meta(max_length=METADATA_VALUE_MAX)]
_Metadata = Annotated[dict[_Key, _Value], Meta(max_length=METADATA_KEYS_MAX)]
_Changes = Annotated[
    dict[_Key, _Value | None],
    Meta(max_length=METADATA_KEYS_MAX, description="A null deletes its key."),
]
_Include = Annotated[
    list[Literal["webhook_endpoint.signing_secret", "webhook_endpoint.url"]],
    Meta(max_length=2, description="Fields that are null in the answer unless they stand here."),
]
_IncludeUrl = Annotated[list[Literal["webhook_endpoint.url"]], Meta(max_length=1)]
_Url = Annotated[str, Meta(max_length=URL_MAX)]
_Standard = Annotated[
    bool, Meta(description="Ours: whether deliveries carry the headers of Standard Webhooks too.")
]


class Target(Struct, forbid_unknown_fields=True, frozen=True):
    """Where events are posted, and how they are signed."""

    url: _Url
    standard_webhooks: _Standard = False


class TargetChanges(Struct, forbid_unknown_fields=True, frozen=True):
    """What to change of where events are posted, and of how they are signed."""

    url: _Url | UnsetType = UNSET
    standard_webhooks: _Standard | UnsetType = UNSET


class CreateDestination(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A destination as it is asked for."""

    name: _Name
    type: Literal["webhook_endpoint", "amazon_eventbridge", "azure_event_grid"]
    enabled_events: _Events
    event_payload: Literal["thin", "snapshot"]
    webhook_endpoint: Target | None = None
    snapshot_api_version: Annotated[str, Meta(max_length=100)] | None = None
    events_from: Annotated[list[str], Meta(max_length=10)] | None = None
    description: _Description | None = None
    metadata: _Metadata | None = None
    include: _Include | None = None
    amazon_eventbridge: dict[str, str] | None = None
    azure_event_grid: dict[str, str] | None = None


class UpdateDestination(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What to change of a destination."""

    name: _Name | UnsetType = UNSET
    description: _Description | UnsetType | None = UNSET
    enabled_events: _Events | UnsetType = UNSET
    metadata: _Changes | UnsetType | None = UNSET
    webhook_endpoint: TargetChanges | UnsetType = UNSET
    include: _IncludeUrl | None = None


class RollSecret(Struct, forbid_unknown_fields=True, frozen=True):
    """How a destination's secret is replaced."""

    expire_in: Annotated[
        int,
        Meta(
            ge=0,
            le=ROLL_SECONDS_MAX,
            description="Seconds for which the present secret signs as well; by default a day.",
        ),
    ] = ROLL_SECONDS_MAX
