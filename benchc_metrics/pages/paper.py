"""From a drawn figure to a file for a paper: PDF, SVG or PNG, with its letters inside, always the same bytes."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchc_metrics.messages import quoted

__all__ = ["check_ending", "written"]

ENDINGS = (".pdf", ".svg", ".png")
DOTS_PER_INCH = 300
_POINTS_PER_INCH = 72


def check_ending(ending: str) -> None:
    """Check that figures can be written to files with this ending.

    Raises
    ------
    ValueError
        If it is none of `ENDINGS`.
    """
    if ending not in ENDINGS:
        raise ValueError(
            f"a figure cannot be written as {quoted(ending)}: name a file that ends with {', '.join(ENDINGS)}"
        )


def written(figure: Figure, ending: str, scale: float, caption: str) -> bytes:
    """Write a figure as a file.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    ending : {".pdf", ".svg", ".png"}
    scale : float
        From the lengths of the figure to those on paper; letters and lines are scaled too.
    caption : str
        Stands in the file's metadata.

    Returns
    -------
    bytes
        The same for the same figure: no date, no name of a library's version.
    """
    if ending == ".pdf":
        return _pdf(figure, scale, caption)
    buffer = io.BytesIO()
    if ending == ".svg":
        with mpl.rc_context({"svg.hashsalt": "benchc", "svg.fonttype": "path"}):
            figure.savefig(
                buffer,
                format="svg",
                dpi=_POINTS_PER_INCH,
                metadata={"Date": None, "Creator": "benchc", "Description": caption},
            )
        return _resized(buffer.getvalue().decode(), figure, scale).encode()
    figure.savefig(
        buffer,
        format="png",
        dpi=DOTS_PER_INCH * scale,
        facecolor="white",
        metadata={"Software": None, "Description": caption},
        pil_kwargs={"dpi": (DOTS_PER_INCH, DOTS_PER_INCH)},
    )
    return buffer.getvalue()


def _pdf(figure: Figure, scale: float, caption: str) -> bytes:
    """Draw as matplotlib does, on a page whose unit is scaled: its own files have no scale."""
    from matplotlib.backends import backend_mixed, backend_pdf

    mixed: Any = backend_mixed  # neither has types
    pdf: Any = backend_pdf
    buffer = io.BytesIO()
    figure.set_dpi(_POINTS_PER_INCH)
    width, height = (float(inches) for inches in figure.get_size_inches())
    # TrueType: publishers refuse the fonts of type 3.
    with mpl.rc_context({"pdf.fonttype": 42, "pdf.compression": 6}):
        facts = {"CreationDate": None, "Creator": "benchc", "Producer": None, "Subject": caption}
        file = pdf.PdfFile(buffer, metadata=facts)
        try:
            file.newPage(width * scale, height * scale)
            file.output(scale, 0, 0, scale, 0, 0, pdf.Op.concat_matrix)
            inner = pdf.RendererPdf(file, _POINTS_PER_INCH, height, width)
            renderer = mixed.MixedModeRenderer(figure, width, height, _POINTS_PER_INCH, inner)
            figure.draw(renderer)
            renderer.finalize()
            file.finalize()
        finally:
            file.close()
    return buffer.getvalue()


def _resized(drawn: str, figure: Figure, scale: float) -> str:
    """Give the root element another size; its view box, and so all inside it, stays."""
    start = drawn.index("<svg")
    end = drawn.index(">", start)
    root = drawn[start:end]
    for name, inches in zip(("width", "height"), figure.get_size_inches(), strict=True):
        before, _, rest = root.partition(f' {name}="')
        root = f'{before} {name}="{float(inches) * _POINTS_PER_INCH * scale:.2f}pt"{rest.partition(chr(34))[2]}'
    return drawn[:start] + root + drawn[end:]
