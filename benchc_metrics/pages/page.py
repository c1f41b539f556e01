"""Pages that stand alone: style, script and pictures inside, and a policy under which nothing else runs or loads."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from benchc_metrics import wording
from benchc_metrics.pages.charts import Chart
from benchc_metrics.pages.palette import COLOURS

__all__ = ["render_page"]

FONT = (
    'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif'
)


def render_page(template: str, **content: Any) -> str:
    """Render a template of report or leaderboard as one HTML file that needs no other.

    Parameters
    ----------
    template : str
        Name of the template. Everything it is given is escaped, but for what is `Markup`.
    **content
        What the template asks for.

    Returns
    -------
    str
    """
    script = _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    # A script runs only if it is this one; nothing is fetched; nothing is sent.
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    rendered = _environment().get_template(template)
    return rendered.render(policy=policy, style=Markup(_style()), script=Markup(script), **content)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        loader=ChoiceLoader(
            [PackageLoader(f"benchc_metrics.{room}") for room in ("pages", "report", "leaderboard")],
        ),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=wording.number,
        signed=wording.signed,
        percent=wording.percent,
        with_interval=wording.with_interval,
        drawing=_drawing,
        breakable=wording.breakable,
    )
    return environment


def _drawing(chart: Chart) -> Markup:
    """Return the chart's SVG, which `benchc_metrics.pages.drawing` wrote and which holds escaped text only."""
    return Markup(chart.drawing)


def _asset(name: str) -> str:
    return (files("benchc_metrics.pages") / "assets" / name).read_text(encoding="utf-8")


def _style() -> str:
    light, dark = (" ".join(f"--{name}: {shades[place]};" for name, shades in COLOURS.items()) for place in (0, 1))
    return "\n".join(
        (
            f":root {{ color-scheme: light; --font: {FONT}; {light} }}",
            f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme]) {{ color-scheme: dark; {dark} }} }}",
            f":root[data-theme=dark] {{ color-scheme: dark; {dark} }}",
            # After the others and as strong as they: paper is white whatever the screen was.
            "@media print { :root, :root:not([data-theme]), :root[data-theme=dark] "
            f"{{ color-scheme: light; {light} }} }}",
            _asset("page.css"),
        )
    )
