"""Tables as files for a spreadsheet: in pieces, and nothing in them is taken for a formula."""

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator, Callable, Sequence

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from meterbell.dashboard.answers import NOT_KEPT
from meterbell.dashboard.visit import Table
from meterbell.errors import OverloadedError

FILES_MAX = 2
"""So many may be on their way at once."""
# About half a millisecond.
_ROWS_AT_ONCE = 200
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class Files:
    """The files that are on their way."""

    def __init__(self) -> None:
        """Begin without any."""
        self._open = 0

    def answer(self, table: Table) -> Response:
        """Return the answer that sends a table; it counts as on its way until it was sent.

        Raises:
            OverloadedError: As many are on their way as there may be.
        """
        if self._open >= FILES_MAX:
            raise OverloadedError(
                f"{FILES_MAX} files are being downloaded at this moment, and there may be no more "
                "at once. Try again once one of them is done."
            )
        self._open += 1
        return _FileResponse(table, self._close)

    def _close(self) -> None:
        self._open -= 1


class _FileResponse(StreamingResponse):
    """Sends a table, and tells when that is over, however it ended."""

    def __init__(self, table: Table, close: Callable[[], None]) -> None:
        headers = {**NOT_KEPT, "content-disposition": f'attachment; filename="{table.name}"'}
        super().__init__(csv_pieces(table.rows), headers=headers, media_type="text/csv")
        self._close = close

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._close()


async def csv_pieces(rows: AsyncIterator[Sequence[str]]) -> AsyncIterator[str]:
    """Yield rows as CSV, some hundred at a time; between two pieces all others get their turn."""
    text = io.StringIO()
    writer = csv.writer(text)
    count = 0
    async for row in rows:
        writer.writerow([_harmless(cell) for cell in row])
        count += 1
        if count % _ROWS_AT_ONCE == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
            # Neither the rows nor a client that reads quickly need suspend.
            await asyncio.sleep(0)
    yield text.getvalue()


def _harmless(cell: str) -> str:
    """Return a cell that a spreadsheet shows and does not run."""
    is_formula = cell.startswith(_BEGINS_FORMULA) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if is_formula else cell
