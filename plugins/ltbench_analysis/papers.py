"""The papers that figures come from, as captions name them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PAPERS: Mapping[str, str] = MappingProxyType({
    "prototype": "Sharma et al. (2023), Learning Prototype Classifiers for Long-Tailed Recognition",
    "learned-ncm": "Learned Nearest-Class-Mean for Biased Representations in Long-Tailed Recognition (anonymous submission)",
    "iccl": "Tiong et al. (2023), Improving Tail-Class Representation with Centroid Contrastive Learning",
    "iccl-centroids": "Centroids of Tiong et al. (2023), a figure that the paper does not print",
    "nc": "Liu et al. (2023), Inducing Neural Collapse in Deep Long-tailed Learning",
    "hyperspherical": "Saadabadi et al. (2024), Hyperspherical Classification with Dynamic Label-to-Prototype Assignment",
    "neural-collapse": "NC1 to NC4 of Papyan et al. (2020), Prevalence of Neural Collapse",
})
