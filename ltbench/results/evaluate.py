"""Evaluation on the test images: the core's alone, once, after training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from accelerate import Accelerator
from torch import Tensor

from ltbench.data.loader import evaluation_batches
from ltbench.data.randomness import derive_seed
from ltbench.data.task_data import TaskData
from ltbench.data.view import plain_view
from ltbench.results.predictions import Predictions, summarize
from ltbench.system.mapped import take_rows
from ltbench.training.distributed import interleave
from ltbench.training.embedding import Embedder, embedding_with, evaluation_precision
from ltbench.training.engine import Engine
from ltbench.training.kept_images import KeptTestImages

BATCH = 500


@torch.no_grad()
def predict_test(engine: Engine, data: TaskData, accelerator: Accelerator, *, flip: bool, noise: float = 0.0,
                 kept: KeptTestImages | None = None) -> Predictions:
    """Return the predictions for every test image, each once, whatever the number of processes.

    Args:
        engine: The last stage, in evaluation mode.
        flip: Whether probabilities are averaged over the image and its mirror image.
        noise: Standard deviation of the Gaussian noise on normalized images; 0 for none.
        kept: Embeddings of the test images; None where images are embedded now, and forgotten.

    Raises:
        Diverged: If a probability is not a number.
    """
    plain = plain_view(data.dataset)
    labels = data.parts.test.labels[data.test_indices]

    def shown(pixels: Tensor, positions: Tensor) -> Tensor:
        images = plain(pixels, positions, 0, 0)
        return images + noise * _normal(positions, images.shape[1:]).to(images.device) if noise else images

    def mirrored(pixels: Tensor, positions: Tensor) -> Tensor:
        return shown(pixels, positions).flip(3)

    view = f"noise-{noise}" if noise else "plain"
    views = {view: shown, f"{view}-mirrored": mirrored} if flip else {view: shown}
    precision, backbone = evaluation_precision(accelerator), engine.trained.backbone
    own = torch.arange(len(labels))[accelerator.process_index::accelerator.num_processes]
    embed: Callable[[Tensor], Tensor]
    if kept is None or engine.has_test_views:
        embed = Embedder(backbone, data, accelerator.device, data.parts.test, data.test_indices, precision)
        served = evaluation_batches(data.parts.test, data.test_indices, BATCH, accelerator.device, accelerator.process_index,
                                    accelerator.num_processes)
        seen = ((positions, [prepare(pixels, positions) for prepare in views.values()]) for positions, pixels in served)
    else:
        embed = _as_they_are
        banks = [kept.read(backbone, name, prepare, precision).embedding for name, prepare in views.items()]
        seen = ((positions, [take_rows(bank, positions.to(bank.device)).to(accelerator.device) for bank in banks])
                for positions in (torch.split(own, BATCH) if len(own) else ()))
    rows = [torch.empty(0, 3, device=accelerator.device)]  # a process may have no image at all
    with embedding_with(engine, embed):
        for positions, inputs in seen:
            log_probs = engine.predict(inputs[0]).float().log_softmax(dim=1)
            if flip:
                other = engine.predict(inputs[1]).float().log_softmax(dim=1)
                log_probs = torch.logaddexp(log_probs, other) - torch.tensor(2.0).log()
            rows.append(summarize(log_probs, labels[positions].to(log_probs.device)))
    # Gathered before it is judged: a process that gave up alone would leave the others waiting.
    summary = interleave(torch.cat(rows), len(labels), accelerator)
    return Predictions.from_summary(data.test_indices, labels, summary)


def _as_they_are(embeddings: Tensor) -> Tensor:
    """Stand in a backbone's place for what it has embedded before."""
    return embeddings


def _normal(positions: Tensor, shape: Sequence[int]) -> Tensor:
    """Return standard normal noise for each image, shape (B, *shape): a function of its position, whoever evaluates it."""
    generator = torch.Generator()
    return torch.stack([torch.randn(*shape, generator=generator.manual_seed(derive_seed("noise", position)))
                        for position in positions.tolist()])
