"""Metadata: keys are merged, an empty value deletes its key, an empty whole deletes all."""

from typing import Any

from meterbell.api.params import METADATA_KEYS_MAX, UNSET
from meterbell.errors import InvalidParamError


def merge_metadata(before: dict[str, str], params: dict[str, Any]) -> dict[str, str]:
    """Return an object's metadata with a request's changes.

    Raises:
        InvalidParamError: It would have too many keys.
    """
    given = params.get("metadata")
    if given is None:
        return before
    if given == UNSET:
        return {}
    merged = {key: value for key, value in {**before, **given}.items() if value != UNSET}
    if len(merged) > METADATA_KEYS_MAX:
        raise InvalidParamError(
            f"Metadata can have up to {METADATA_KEYS_MAX} keys; this object would have "
            f"{len(merged)}.",
            param="metadata",
        )
    return merged
