"""Evaluation on the test images: the core's alone, once, after training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import Accelerator
from torch import Tensor

from ltbench.data.loader import evaluation_batches
from ltbench.data.randomness import derive_seed
from ltbench.data.task_data import TaskData
from ltbench.data.view import plain_view
from ltbench.results.predictions import Predictions, summarize
from ltbench.training.distributed import interleave
from ltbench.training.embedding import Embedder, embedding_with, evaluation_precision
from ltbench.training.engine import Engine

BATCH = 500


@torch.no_grad()
def predict_test(engine: Engine, data: TaskData, accelerator: Accelerator, *, flip: bool, noise: float = 0.0) -> Predictions:
    """Return the predictions for every test image, each once, whatever the number of processes.

    Args:
        engine: The last stage, in evaluation mode.
        flip: Whether probabilities are averaged over the image and its mirror image.
        noise: Standard deviation of the Gaussian noise on normalized images; 0 for none.

    Raises:
        Diverged: If a probability is not a number.
    """
    dataset = data.dataset
    plain = plain_view(dataset)
    labels = data.parts.test.labels[data.test_indices]
    rows = [torch.empty(0, 3, device=accelerator.device)]  # a process may have no image at all
    embedder = Embedder(engine.trained.backbone, data, accelerator.device, data.parts.test, data.test_indices,
                        evaluation_precision(accelerator))
    with embedding_with(engine, embedder):
        for positions, pixels in evaluation_batches(data.parts.test, data.test_indices, BATCH, accelerator.device,
                                                    accelerator.process_index, accelerator.num_processes):
            images = plain(pixels, positions, 0, 0)
            if noise:
                images = images + noise * _normal(positions, images.shape[1:]).to(images.device)
            log_probs = engine.predict(images).float().log_softmax(dim=1)
            if flip:
                mirrored = engine.predict(images.flip(3)).float().log_softmax(dim=1)
                log_probs = torch.logaddexp(log_probs, mirrored) - torch.tensor(2.0).log()
            rows.append(summarize(log_probs, labels[positions].to(log_probs.device)))
    # Gathered before it is judged: a process that gave up alone would leave the others waiting.
    summary = interleave(torch.cat(rows), len(labels), accelerator)
    return Predictions.from_summary(data.test_indices, labels, summary)


def _normal(positions: Tensor, shape: Sequence[int]) -> Tensor:
    """Return standard normal noise for each image, shape (B, *shape): a function of its position, whoever evaluates it."""
    generator = torch.Generator()
    return torch.stack([torch.randn(*shape, generator=generator.manual_seed(derive_seed("noise", position)))
                        for position in positions.tolist()])
