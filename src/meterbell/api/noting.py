"""What the request log is told of a request, once it has been answered."""

from http import HTTPStatus

from meterbell.api.auth import Authenticator
from meterbell.api.call import Operation
from meterbell.api.http import Answer, Headers
from meterbell.api.v2.route import Route
from meterbell.api.v2.sessions import SessionAuthenticator
from meterbell.services import Services


class Noter:
    """Tells the request log of answers, as far as it wants to know of them."""

    def __init__(
        self, services: Services, authenticator: Authenticator, sessions: SessionAuthenticator
    ) -> None:
        self._requests = services.requests
        self._authenticator = authenticator
        self._sessions = sessions

    def note(
        self,
        route: Operation | Route | None,
        answer: Answer,
        *,
        request_id: str,
        method: str,
        path: str,
        headers: Headers,
        duration_us: int,
    ) -> None:
        """Tell of one answer.

        Args:
            route: The request's, if there is one.
            answer: To the request.
            request_id: Names it.
            method: Of HTTP.
            path: Decoded, without the query string.
            headers: By lower-case name.
            duration_us: From reading the request to its answer.
        """
        is_failure = answer.status >= HTTPStatus.BAD_REQUEST
        successes = "kept" if route is None else route.successes
        is_kept = is_failure or successes == "kept"
        if not is_kept and (successes == "untold" or not self._requests.feed.is_listened):
            return
        takes_session = isinstance(route, Route) and route.takes_session
        who = self._sessions if takes_session else self._authenticator
        livemode, last4 = who.identify(headers.get(b"authorization"))
        self._requests.add(
            request_id=request_id,
            method=method,
            path=path,
            is_known=route is not None,
            status=answer.status,
            body=answer.body,
            duration_us=duration_us,
            livemode=livemode,
            key_last4=last4,
            is_kept=is_kept,
        )
