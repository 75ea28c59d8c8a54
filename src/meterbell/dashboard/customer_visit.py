"""One visit of a customer page, known to have a link that is good."""

from collections.abc import Mapping
from dataclasses import dataclass

from meterbell.errors import RequestError
from meterbell.ids import CustomerId
from meterbell.records import Customer
from meterbell.services import Services
from meterbell.wire.form import Form
from meterbell.wire.page_tokens import PageClaims

ACTOR = "customer page"
"""What the audit log calls those who come by a link: nobody signs in there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerVisit:
    """One request of a browser for a customer page. It has no customer but the link's.

    Attributes:
        place: The page's address, the token included.
        address: Where it came from.
        problem: What was wrong with the form that is shown again.
    """

    services: Services
    claims: PageClaims
    customer: Customer
    place: str
    query: Mapping[str, str]
    form: Form
    address: str
    request_id: str
    problem: RequestError | None = None

    @property
    def livemode(self) -> bool:
        """The link's mode."""
        return self.claims.livemode

    @property
    def id(self) -> CustomerId:
        """The link's customer."""
        return CustomerId(self.customer.id)

    @property
    def path(self) -> str:
        """Where it is for logs: without the token."""
        return ACTOR

    @property
    def form_token(self) -> str:
        """What only this rendering of the form holds, with whose page it is on."""
        token = self.typed("once")
        return f"{self.id} {token}" if token else ""

    @property
    def actor(self) -> str:
        """Who changes something."""
        return ACTOR

    def typed(self, name: str) -> str:
        """Return what was typed into a field of the form that is shown again."""
        value = self.form.get(name, "")
        return value if isinstance(value, str) else ""
