"""A model as one ONNX file, which other programs run: normalized images in, logits out."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ltbench.errors import UserError
from ltbench.system.atomic import appearing
from ltbench.trained.card import describe
from ltbench.trained.network import Network, some_images
from ltbench.trained.recall import Trained
from ltbench.training.files import not_written

INPUT, OUTPUT = "images", "logits"
_TRACED = 2  # images: one would be taken for the only number that there can be
_TOLERANCE = 1e-3  # of log-probabilities, computed in another order


def export_onnx(trained: Trained, path: Path) -> Mapping[str, Any]:
    """Write a model, once ONNX's own reference has shown on test images that it says the same.

    Returns:
        The card, which also stands in the file's metadata under ``ltbench``.

    Raises:
        UserError: If onnx is not installed, or the model cannot be written in its operations.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  # which torch's exporter writes with
    except ImportError:
        raise UserError("--to FILE.onnx needs onnx: pip install 'ltbench[export]'") from None
    network, images, card = Network(trained), some_images(trained), describe(trained)
    with torch.no_grad(), _quiet():
        try:
            dynamic = ({0: torch.export.Dim("batch")},)
            graph = torch.export.export(network, (images[:_TRACED],), dynamic_shapes=dynamic, strict=False)
            program = torch.onnx.export(graph, dynamo=True, input_names=[INPUT], output_names=[OUTPUT], verbose=False)
        except Exception as problem:  # as many as there are operations that it does not know
            raise UserError(f"{trained.record.expression} cannot be written as ONNX: {_line(problem)}") from None
        wanted = network(images).log_softmax(dim=1)
    assert program is not None  # with dynamo
    model = program.model_proto
    entry = model.metadata_props.add()
    entry.key, entry.value = "ltbench", json.dumps(card)
    _check(model, images, wanted)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with appearing(path, durable=True) as temporary:
            onnx.save_model(model, temporary)
    except OSError as problem:
        raise not_written(path, problem) from problem
    return card


def _check(model: Any, images: Tensor, wanted: Tensor) -> None:
    """Refuse a file that says something else than the model.

    Args:
        images: Shape (B, channels, H, W).
        wanted: Log-probabilities of the model, shape (B, C).
    """
    from onnx.reference import ReferenceEvaluator

    (logits,) = ReferenceEvaluator(model).run(None, {INPUT: images.contiguous().numpy()})
    given = torch.tensor(logits).log_softmax(dim=1)
    if given.shape != wanted.shape or not torch.allclose(given, wanted, atol=_TOLERANCE, rtol=_TOLERANCE):
        raise UserError("its ONNX form says something else than the model on test images, and was not written")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress, advice and graphs off the screen."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _line(problem: BaseException) -> str:
    """Return the first line of what lies at the bottom of an error."""
    while problem.__cause__ is not None:
        problem = problem.__cause__
    return f"{type(problem).__name__}: {(str(problem).splitlines() or [''])[0][:200]}"
