"""The kinds of plugin that can be made, and what is said of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Kind:
    """Describe one kind; its code stands in the folder of templates with its name.

    Args:
        first: What its author will change first.
        paper: Authors and year, or nothing.
        per_part: Whether it looks at the images of a part of the batch together, as ``MethodSpec.per_part`` says.
    """

    summary: str
    first: str
    stages: tuple[int, ...] = ()
    paper: str = ""
    noun: Literal["method", "dataset", "metric"] = "method"
    per_part: bool = False


KINDS = {
    "loss": Kind("trains on logits that are scaled by class size and shifted by the log prior",
                 "`criterion`, which returns one loss a sample", (1, 2), "Kini et al., 2021"),
    "stage2": Kind("fits a linear discriminant to the features of a trained backbone",
                   "`fit`, which sets the head from the training features; where `trains` is true, steps follow",
                   (2,), "Fisher, 1936"),
    "regularizer": Kind("evens out the lengths of features", "`extra_losses`, which returns scalars by name", (1,),
                        per_part=True),
    "two-branch": Kind("takes every step on plain and on class-balanced images",
                       "`streams`, which names samplers, and `step`, which gets one batch of each", (1,), "Zhou et al., 2020"),
    "fixed-head": Kind("classifies by fixed directions that are never trained",
                       "`make_classifier` and `build_head`, which make what reads the backbone's embedding", (1, 2)),
    "experts": Kind("trains several last stages on one trunk, and predicts by their mean",
                    "`build_backbone` and `build_head`, which make the experts, and `step`, which trains them", (1,),
                    "Wang et al., 2021"),
    "contrastive": Kind("contrasts two views of every image beside the classifier",
                        "`views`, which names the augmentations, and `extra_losses`, which compares them", (1,),
                        "Khosla et al., 2020", per_part=True),
    "dataset": Kind("handwritten digits, each turned by a quarter, part of scikit-learn",
                    "`load`, which reads both parts, and the constants above it", noun="dataset"),
    "metric": Kind("spread of rare classes over that of frequent ones",
                   "the function, which reads what a run keeps of its last stage", noun="metric"),
}
