"""Whether a model is a softmax over linear functions of its backbone's features, and which ones."""

from __future__ import annotations

import torch
from torch import Tensor

from ltbench.backbones.request import feature_dim
from ltbench.errors import UserError
from ltbench.training.embedding import embedding_with
from ltbench.training.engine import Engine

_TOLERANCE = 1e-3  # of log-probabilities, computed in another order


@torch.no_grad()
def linear_classifier(engine: Engine, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the linear classifier that gives a model's probabilities.

    It is read off the model, whatever its methods are: logits at the origin are the bias, and how they change along each axis are
    the weights. So a shift by a prior or a rescaled weight vector is part of it, and of a squared distance what depends on the
    class.

    Args:
        engine: Of the last stage.
        images: That the classifier must agree with the model on, shape (B, channels, H, W).

    Returns:
        Weights, shape (C, D), and bias, shape (C,).

    Raises:
        UserError: If there is none.
    """
    backbone = engine.trained.backbone
    features = backbone(images)  # (B, D)
    axes = torch.cat([torch.zeros(1, feature_dim(backbone)), torch.eye(feature_dim(backbone))])
    with embedding_with(engine, _as_they_are):
        values = engine.predict(axes).double()  # (1 + D, C)
        wanted = engine.predict(features).log_softmax(dim=1)
    bias, weight = values[0], (values[1:] - values[0]).T
    given = (features.double() @ weight.T + bias).log_softmax(dim=1).float()
    if not torch.allclose(given, wanted, atol=_TOLERANCE, rtol=_TOLERANCE):
        raise UserError("its probabilities are no softmax of linear functions of the features, in which a model of timm ends: "
                        "export it to .onnx")
    return weight.float(), bias.float()


def _as_they_are(features: Tensor) -> Tensor:
    return features
