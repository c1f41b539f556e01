"""`benchc show`: make a sheet of pictures that shows what the corruptions do to a photo."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

from PIL import Image

from benchc_metrics.files import replace_file

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to the `benchc` parser."""
    parser = subparsers.add_parser("show", help="show what the corruptions do to an image")
    parser.add_argument("image", type=Path, help="a photo, of any size")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="the contact sheet to write, such as sheet.png"
    )
    parser.add_argument("--out-dir", type=Path, metavar="FOLDER", help="also write each picture to a separate file")
    parser.add_argument(
        "--corruption", action="append", metavar="NAME", help="only this corruption; may be given more than once"
    )
    parser.add_argument(
        "--severity", action="append", type=int, metavar="1..5", help="only this severity; may be given more than once"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of random corruptions (%(default)s)")
    parser.add_argument(
        "--cell", type=int, default=160, metavar="PIXELS", help="longer side of a picture on the sheet (%(default)s)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the contact sheet, the single files, or both."""
    from benchc_tasks.corruptions.contact_sheet import contact_sheet, save_pictures
    from benchc_tasks.datasets import decode_image

    if arguments.output is None and arguments.out_dir is None:
        raise ValueError("No output is given: give a sheet with -o sheet.png, a folder with --out-dir, or both.")
    if arguments.cell < 1:
        raise ValueError(f"A cell of {arguments.cell} pixels shows nothing: give --cell 1 or more.")
    if arguments.output is not None and arguments.output.suffix.lower() not in Image.registered_extensions():
        raise ValueError(f"{arguments.output} has no image format: give it an ending such as .png or .jpg.")
    image = decode_image(arguments.image.read_bytes(), sample=str(arguments.image))
    if arguments.output is not None:
        sheet = contact_sheet(image, arguments.corruption, arguments.severity, seed=arguments.seed, cell=arguments.cell)
        written = io.BytesIO()
        sheet.save(written, format=Image.registered_extensions()[arguments.output.suffix.lower()])
        replace_file(arguments.output, written.getvalue())
        print(arguments.output)
    if arguments.out_dir is not None:
        pictures = save_pictures(
            image, arguments.out_dir, arguments.corruption, arguments.severity, seed=arguments.seed
        )
        for path in pictures:
            print(path)
    return 0
