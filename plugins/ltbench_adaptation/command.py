"""``ltbench text-features``: from class names to a file that ``lift`` starts its classifier from."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import ltbench

TEMPLATE = "a photo of a {}."


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    about = ("Write text features of class names, as safetensors for lift(text_file=...). Needs the text model of a CLIP: "
             "pip install 'ltbench[text]', and its weights in a file or in the local cache.")
    parser = commands.add_parser("text-features", help="write text features of class names", description=about)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dataset", metavar="NAME", help="whose class names, as for ltbench run")
    source.add_argument("--classes", metavar="FILE", help="a text file with a class name in each line")
    parser.add_argument("--model", metavar="NAME", required=True, help="of open_clip, such as ViT-B-16-quickgelu")
    parser.add_argument("--weights", metavar="FILE|TAG", required=True, help="a file, or a tag of open_clip such as openai")
    parser.add_argument("--template", metavar="TEXT", action="append",
                        help=f"a sentence with {{}} for the name, as often as wanted, to be averaged (default: {TEMPLATE})")
    parser.add_argument("--download", action="store_true", help="fetch the weights of a tag that are not in the local cache")
    parser.add_argument("--out", metavar="FILE", required=True, help="a new file, *.safetensors")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the file and say what names it in an expression."""
    templates = list(args.template or [TEMPLATE])
    for template in templates:
        if template.count("{}") != 1:
            raise ltbench.UserError(f"--template must have one {{}} for the class's name, got {template!r}")
    classes = read_classes(Path(args.classes)) if args.classes else classes_of(args.dataset)
    from ltbench_adaptation.encode import encode
    from ltbench_adaptation.text_features import write_text_features

    out = Path(args.out)
    features, projection = encode(classes, templates, args.model, args.weights, download=args.download)
    write_text_features(out, features, classes, projection, {"model": args.model, "templates": json.dumps(templates)})
    import hashlib

    digest = hashlib.sha256(out.read_bytes()).hexdigest()[:16]
    print(f"{len(classes):,} classes, {features.shape[1]} numbers each: {out}")
    print(f"use it as lift(text_file={args.out},text_sha256={digest})")
    return 0


def classes_of(dataset: str) -> list[str]:
    """Return the class names of a dataset.

    Raises:
        UserError: If they say nothing: each is a word or a folder with a number, ``class 17`` or ``Aves/17``.
    """
    names = list(ltbench.class_names(dataset))
    if all(name.endswith(f" {k}") for k, name in enumerate(names)) or all(re.fullmatch(r".*/\d+", name) for name in names):
        raise ltbench.UserError(f"--dataset must have names of classes, all that is known of {dataset} are numbers such as "
                                f"{names[0]!r}: say where its images are with LTBENCH_DATA, for their folders may say more, or "
                                "write a file yourself, see docs/foundation-features.md")
    return names


def read_classes(path: Path) -> list[str]:
    """Return the names in a text file, one a line; lines without a word are left out.

    Raises:
        UserError: If it cannot be read, or has no name or one twice.
    """
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ltbench.UserError(f"--classes must be a text file, got {path}: {error}") from error
    if not names or len(set(names)) < len(names):
        twice = next((name for name in names if names.count(name) > 1), None)
        raise ltbench.UserError(f"--classes must name each class once, got {f'{twice!r} twice' if twice else 'none'} in {path}")
    return names
