"""Tables as files for a spreadsheet: in pieces, and nothing in them is taken for a formula."""

import csv
import io
import re
from collections.abc import AsyncIterator, Sequence

_ROWS_AT_ONCE = 500
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


async def csv_pieces(rows: AsyncIterator[Sequence[str]]) -> AsyncIterator[str]:
    """Yield rows as CSV, some hundred at a time."""
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
    yield text.getvalue()


def _harmless(cell: str) -> str:
    """Return a cell that a spreadsheet shows and does not run."""
    is_formula = cell.startswith(_BEGINS_FORMULA) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if is_formula else cell
