"""``ltbench export``: a trained model in a form that other programs read."""

from __future__ import annotations

import argparse
from pathlib import Path

from ltbench.cli.recalled import add_options, model_of
from ltbench.errors import UserError

TIMM = "timm"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    about = ("Write the model of a record to a file, with its classes' names and how it wants images. FILE.safetensors: the "
             "weights, by the names that --stage1 reads. FILE.onnx: the whole model, normalized images in and logits out (extra "
             "export: onnx). timm, or timm:FOLDER: a checkpoint and a configuration that timm.create_model reads, where the "
             "backbone is one of timm's and the classifier is linear. The model comes from the stage store; nothing is trained.")
    parser = commands.add_parser("export", help="write a trained model to a file", description=about)
    parser.add_argument("record", type=Path, metavar="RECORD", help="the record's JSON file")
    parser.add_argument("--to", required=True, metavar="FILE", help="model.safetensors, model.onnx, timm or timm:FOLDER")
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write one form."""
    kind, _, folder = args.to.partition(":")
    path = Path(args.to)
    if kind != TIMM and path.suffix not in (".safetensors", ".onnx"):
        raise UserError(f"--to must be FILE.safetensors, FILE.onnx, timm or timm:FOLDER, got {args.to}")
    trained = model_of(args, cpu=True)
    if kind == TIMM:
        from ltbench.trained.to_timm import WEIGHTS, export_timm

        path = Path(folder or TIMM) / WEIGHTS
        export_timm(trained, path.parent)
    elif path.suffix == ".onnx":
        from ltbench.trained.to_onnx import export_onnx

        export_onnx(trained, path)
    else:
        from ltbench.trained.to_safetensors import export_safetensors

        export_safetensors(trained, path)
    print(f"{trained.record.expression} on {trained.plan.task}, seed {trained.record.task.seed}: {path}")
    return 0
