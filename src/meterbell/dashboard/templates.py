"""Jinja templates: everything that is shown is escaped, and a name that is missing is an error."""

from collections.abc import Callable, Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from meterbell.dashboard import formats
from meterbell.dashboard.assets import Assets, read_icons
from meterbell.dashboard.coloured import coloured_json
from meterbell.dashboard.snippets import key_option


class Templates:
    """Renders pages and parts of them."""

    def __init__(self, assets: Assets) -> None:
        """Prepare; a template is compiled when it is shown first."""
        icons = {name: Markup(inside) for name, inside in read_icons().items()}  # noqa: S704 - vendored
        self._environment = Environment(
            loader=PackageLoader("meterbell.dashboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "day": formats.day,
            "group": formats.group,
            "iso": formats.iso,
            "utc": formats.utc,
        }
        functions: Mapping[str, Callable[..., object]] = {
            "asset": assets.url,
            "coloured": coloured_json,
            "counted": formats.counted,
            "icon_paths": icons.__getitem__,
            "key_option": key_option,
            "sparkline": formats.sparkline,
        }
        self._environment.globals |= functions
        # Not imported in each template: an import does not reach a block that is shown by itself.
        self._environment.globals["ui"] = self._environment.get_template("ui.html").module

    def render(self, name: str, context: Mapping[str, object]) -> str:
        """Return a whole page, or a part that has a template of its own."""
        return self._template(name).render(context)

    def render_block(self, name: str, block: str, context: Mapping[str, object]) -> str:
        """Return one block of a page."""
        template = self._template(name)
        return "".join(template.blocks[block](template.new_context(dict(context))))

    def _template(self, name: str) -> Template:
        return self._environment.get_template(name)
