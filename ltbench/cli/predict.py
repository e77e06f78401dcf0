"""``ltbench predict``: what a trained model says of images."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from ltbench.cli.recalled import add_options, model_of
from ltbench.errors import UserError


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    about = ("Show images to the model of a record, and print the likeliest classes of each. Images are scaled, cut and "
             "normalized as the model's test images were. The model comes from the stage store; nothing is trained.")
    parser = commands.add_parser("predict", help="classify images with a trained model", description=about)
    parser.add_argument("record", type=Path, metavar="RECORD", help="the record's JSON file")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGES", help="image files, or folders of them")
    parser.add_argument("--top", type=int, default=3, metavar="K", help="classes of each image (default: 3)")
    parser.add_argument("--json", action="store_true", help="print JSON, with probabilities in full")
    parser.add_argument("--cpu", action="store_true", help="leave accelerators alone")
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a line, or an entry, for each image."""
    if args.top < 1:
        raise UserError(f"--top must be >= 1, got {args.top}")
    from ltbench.results.text import printable
    from ltbench.trained.images import find_images
    from ltbench.trained.prediction import predict_files

    names = find_images(args.images)
    found = predict_files(model_of(args, cpu=args.cpu), names, args.top)
    if args.json:
        print(json.dumps([asdict(image) for image in found], indent=1))
        return 0
    from tabulate import tabulate

    rows = [[printable(image.image), *(f"{printable(said.name)} {100 * said.probability:.1f} %" for said in image.classes)]
            for image in found]
    print(tabulate(rows, headers=["image", *map(str, range(1, len(rows[0])))], disable_numparse=True))
    return 0
