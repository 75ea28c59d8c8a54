"""Lets people in: by password, slowly and with patience for a few mistakes; by a link, once."""

import asyncio
from collections.abc import Callable

from meterbell.dashboard import passwords
from meterbell.dashboard.accounts import (
    SIGNED_IN,
    find_user,
    new_token,
    note,
    open_session,
    use_link,
)
from meterbell.dashboard.throttle import Throttle
from meterbell.errors import AuthenticationError, OverloadedError, TooManyAttemptsError
from meterbell.ledger.transaction import Transaction
from meterbell.records import DashboardUser
from meterbell.services import Services

_HASHING_MAX = 2
_WAITING_MAX = 20
_THIS_MACHINE = frozenset({"127.0.0.1", "::1"})
_WRONG = "Name or password is not right."
_SPENT = "This link was used already, or is too old."


class Door:
    """Signs people in."""

    def __init__(
        self, services: Services, *, fits: Callable[[str, str], bool] = passwords.fits
    ) -> None:
        """Begin without a mistake by anybody.

        Args:
            services: Where users are.
            fits: Compares a password with what is stored; slow, so it runs in a thread.
        """
        self._services = services
        self._fits = fits
        self._throttle = Throttle()
        self._hashing = asyncio.Semaphore(_HASHING_MAX)
        self._waiting = 0
        self._dummy = ""

    async def enter(self, name: str, password: str, address: str) -> str:
        """Return the token of a new session for who knows the password.

        An unknown name takes as long as a wrong password.

        Raises:
            AuthenticationError: Name and password don't belong together.
            TooManyAttemptsError: There were too many mistakes lately.
            OverloadedError: Too many are signing in at this moment.
        """
        now_ms = self._services.clock.now_ms()
        account = name.lower()[:64]
        # Behind a proxy on this machine everybody has its address: then only accounts are slowed.
        origin = f"{account} at {address}" if address in _THIS_MACHINE else address
        wait_ms = self._throttle.wait_ms(account, origin, now_ms=now_ms)
        if wait_ms > 0:
            raise TooManyAttemptsError(
                f"Too many wrong passwords. Try again in {-(-wait_ms // 60_000)} minutes, or use a "
                "link: `meterbell dashboard link`.",
                param="name",
            )
        # Counted before it is known, so that many at once are no way around it.
        self._throttle.fail(account, origin, now_ms=now_ms)
        user = find_user(self._services.store.reader, account)
        stored = user.password if user is not None else None
        try:
            is_right = await self._is_right(password, stored)
        except OverloadedError:
            self._throttle.take_back(account, origin)
            raise
        if user is None or stored is None or not is_right:
            raise AuthenticationError(_WRONG, param="name")
        self._throttle.succeed(account, origin)
        return await self._open(lambda _: user, address, how="password")

    async def enter_by_link(self, token: str, address: str) -> str:
        """Return the token of a new session for who brings a link's token.

        Raises:
            AuthenticationError: The link was used, or is too old.
        """
        return await self._open(lambda changes: use_link(changes, token), address, how="link")

    async def _is_right(self, password: str, stored: str | None) -> bool:
        if self._waiting >= _WAITING_MAX:
            raise OverloadedError("Too many are signing in at this moment; try again.")
        self._waiting += 1
        try:
            async with self._hashing:
                if not self._dummy:
                    salt = self._services.ids.token(22)
                    self._dummy = await asyncio.to_thread(passwords.hash_password, "", salt=salt)
                against = stored or self._dummy
                return await asyncio.to_thread(self._fits, password[:1024], against)
        finally:
            self._waiting -= 1

    async def _open(
        self, find: Callable[[Transaction], DashboardUser | None], address: str, *, how: str
    ) -> str:
        token = new_token(self._services.ids)

        def command(changes: Transaction) -> None:
            user = find(changes)
            if user is None:
                raise AuthenticationError(_SPENT)
            open_session(changes, user, token)
            note(
                changes,
                actor=user.name,
                action=SIGNED_IN,
                address=address,
                object_id=user.id,
                how=how,
            )

        await self._services.committer.execute(command)
        return token
