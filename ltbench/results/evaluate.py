"""Evaluation on the test images: the core's alone, once, after training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from accelerate import Accelerator
from torch import Tensor

from ltbench.data.loader import evaluation_batches
from ltbench.data.parts import ImageSource
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


def predict_test(engine: Engine, data: TaskData, accelerator: Accelerator, *, flip: bool, noise: float = 0.0,
                 kept: KeptTestImages | None = None) -> Predictions:
    """Return the predictions for every test image, see :func:`predict_with_logits`."""
    return predict_with_logits(engine, data, accelerator, flip=flip, noise=noise, kept=kept, keep=False)[0]


@torch.no_grad()
def predict_with_logits(engine: Engine, data: TaskData, accelerator: Accelerator, *, flip: bool, noise: float = 0.0,
                        kept: KeptTestImages | None = None, keep: bool = True) -> tuple[Predictions, Tensor | None]:
    """Return the predictions for every test image, each once, whatever the number of processes, and their logits.

    Args:
        engine: The last stage, in evaluation mode.
        flip: Whether probabilities are averaged over the image and its mirror image.
        noise: Standard deviation of the Gaussian noise on normalized images; 0 for none.
        kept: Embeddings of the test images; None where images are embedded now, and forgotten.
        keep: Whether logits are wanted.

    Returns:
        Predictions, and logits in their order, float32, on the CPU, shape (M, C); None if not wanted.

    Raises:
        Diverged: If a probability is not a number.
    """
    labels = data.parts.test.labels[data.test_indices]
    width = data.dataset.num_classes if keep else 0
    rows = [torch.empty(0, 3, device=accelerator.device)]  # a process may have no image at all
    said = [torch.empty(0, width)]
    for positions, logits, log_probs in speak(engine, data, data.parts.test, data.test_indices, accelerator, flip=flip,
                                              noise=noise, kept=kept):
        rows.append(summarize(log_probs, labels[positions].to(log_probs.device)))
        if keep:
            said.append(logits.cpu())
    # Gathered before it is judged: a process that gave up alone would leave the others waiting.
    summary = interleave(torch.cat(rows), len(labels), accelerator)
    spoken = interleave(torch.cat(said).to(accelerator.device), len(labels), accelerator).cpu() if keep else None
    return (Predictions.from_summary(data.test_indices, labels, summary),
            None if spoken is None else spoken[data.test_indices.argsort(stable=True)])


@torch.no_grad()
def speak(engine: Engine, data: TaskData, source: ImageSource, indices: Tensor, accelerator: Accelerator, *, flip: bool,
          noise: float = 0.0, kept: KeptTestImages | None = None) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield what a model says of images, a batch at a time: this process's share of them.

    Args:
        engine: The last stage, in evaluation mode.
        data: Of the run; its dataset says how images are normalized.
        source: Of the images.
        indices: Which of them, int64, shape (M,).
        flip: Whether probabilities are averaged over the image and its mirror image.
        noise: Standard deviation of the Gaussian noise on normalized images; 0 for none.
        kept: Embeddings of these images; None where images are embedded now, and forgotten.

    Yields:
        Positions in ``indices``, shape (B,); logits whose softmax is the probability, float32, shape (B, C): those of the model,
        or with ``flip`` the logarithms of the averages; and log-probabilities, shape (B, C).
    """
    plain = plain_view(data.dataset)

    def shown(pixels: Tensor, positions: Tensor) -> Tensor:
        images = plain(pixels, positions, 0, 0)
        return images + noise * _normal(positions, images.shape[1:]).to(images.device) if noise else images

    def mirrored(pixels: Tensor, positions: Tensor) -> Tensor:
        return shown(pixels, positions).flip(3)

    view = f"noise-{noise}" if noise else "plain"
    views = {view: shown, f"{view}-mirrored": mirrored} if flip else {view: shown}
    precision, backbone = evaluation_precision(accelerator), engine.trained.backbone
    own = torch.arange(len(indices))[accelerator.process_index::accelerator.num_processes]
    embed: Callable[[Tensor], Tensor]
    if kept is None or engine.has_test_views:
        embed = Embedder(backbone, data, accelerator.device, source, indices, precision)
        served = evaluation_batches(source, indices, BATCH, accelerator.device, accelerator.process_index,
                                    accelerator.num_processes)
        seen = ((positions, [prepare(pixels, positions) for prepare in views.values()]) for positions, pixels in served)
    else:
        embed = _as_they_are
        banks = [kept.read(backbone, name, prepare, precision).embedding for name, prepare in views.items()]
        seen = ((positions, [take_rows(bank, positions.to(bank.device)).to(accelerator.device) for bank in banks])
                for positions in (torch.split(own, BATCH) if len(own) else ()))
    with embedding_with(engine, embed):
        for positions, inputs in seen:
            logits = engine.predict(inputs[0]).float()
            log_probs = logits.log_softmax(dim=1)
            if flip:
                other = engine.predict(inputs[1]).float().log_softmax(dim=1)
                logits = log_probs = torch.logaddexp(log_probs, other) - torch.tensor(2.0).log()
            yield positions, logits, log_probs


def _as_they_are(embeddings: Tensor) -> Tensor:
    """Stand in a backbone's place for what it has embedded before."""
    return embeddings


def _normal(positions: Tensor, shape: Sequence[int]) -> Tensor:
    """Return standard normal noise for each image, shape (B, *shape): a function of its position, whoever evaluates it."""
    generator = torch.Generator()
    return torch.stack([torch.randn(*shape, generator=generator.manual_seed(derive_seed("noise", position)))
                        for position in positions.tolist()])
