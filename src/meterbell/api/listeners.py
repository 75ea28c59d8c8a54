"""Ours: who listens, and what their local servers answered."""

from functools import partial
from typing import Any

from meterbell.api.call import Call, Operation
from meterbell.api.find import find_in_path
from meterbell.api.lists import PAGING, list_objects
from meterbell.records import Listener, ListenerAnswer
from meterbell.store import tables

_NOUN = "listener"


def _render(call: Call, listener: Listener) -> dict[str, Any]:
    status: str = listener.status
    if status == "open":
        status = "connected" if listener.id in call.services.listeners.connected else "away"
    return {
        "id": listener.id,
        "object": "listener",
        "created": listener.created,
        "device_name": listener.device_name,
        "features": listener.features,
        "forward_to": listener.forward_to,
        "forward_thin_to": listener.thin_forward_to,
        "livemode": listener.livemode,
        "seen_at": listener.seen_at,
        "status": status,
        "types": listener.types,
    }


def _render_answer(answer: ListenerAnswer) -> dict[str, Any]:
    return {
        "id": answer.id,
        "object": "listener_answer",
        "created": answer.created_ms // 1000,
        "event": answer.event,
        "livemode": answer.livemode,
        "response": answer.response.decode(errors="replace"),
        "status": answer.status_code,
        "url": answer.url,
    }


def _list(call: Call) -> dict[str, Any]:
    where = [tables.listener.c.livemode == call.livemode]
    return list_objects(call, Listener, where, partial(_render, call), noun=_NOUN)


def _answers(call: Call) -> dict[str, Any]:
    objects = call.services.store.reader
    listener = find_in_path(objects, call, Listener, noun=_NOUN, placeholder="id")
    where = [tables.listener_answer.c.listener == listener.id]
    return list_objects(call, ListenerAnswer, where, _render_answer, noun="answer")


OPERATIONS = [
    Operation(
        method="GET",
        path="/meterbell/listeners",
        summary="List who listens, or did lately",
        returns="list:listener",
        params=PAGING,
        read=_list,
    ),
    Operation(
        method="GET",
        path="/meterbell/listeners/{id}/answers",
        summary="List what a listener's local server answered",
        returns="list:listener_answer",
        params=PAGING,
        read=_answers,
    ),
]
