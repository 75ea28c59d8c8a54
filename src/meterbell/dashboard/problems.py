"""What is wrong with a form, told at the field at fault in the form's own words."""

from collections.abc import Mapping
from dataclasses import dataclass

from meterbell.errors import RequestError


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a form, and the field at fault; both may be empty."""

    message: str = ""
    field: str = ""

    def of(self, field: str) -> str:
        """Return what is wrong with a field."""
        return self.message if field == self.field else ""


def explain(
    problem: RequestError | None,
    fields: Mapping[str, str],
    missing: Mapping[str, str] | None = None,
) -> Problem:
    """Return what is wrong with a form.

    Args:
        problem: What the API said.
        fields: Fields of the form by the API's name of what they hold; that of a list holds for
            what is in it, too.
        missing: What to say of a field that is empty, where the API's words don't fit.
    """
    if problem is None:
        return Problem()
    param = problem.param or ""
    field = fields.get(param) or fields.get(param.partition("[")[0], "")
    if problem.code == "parameter_missing" and missing and field in missing:
        return Problem(missing[field], field)
    return Problem(problem.message, field)
