"""All figures, with the commands that make them."""

from __future__ import annotations

from ltbench_analysis.catalog import FigureSpec

_FEATURES = "--keep features"
_LONG_TAIL = "--dataset cifar100-lt@100"
_VARIANCE = "features of the training images, best at ratios 200, 100 and 10"


def _runs(*arguments: str) -> tuple[str, ...]:
    """Return commands on the terms of the papers, whose figures they are for."""
    return tuple(f"ltbench run --track paper {text}" for text in arguments)


def _variance(number: int, dataset: str) -> FigureSpec:
    ratios = ",".join(f"{dataset}@{ratio}" for ratio in (200, 100, 10))
    return FigureSpec(f"learned-ncm.{number}", "learned_ncm:class_variance", "intra-class variance over the size of the class",
                      _VARIANCE, _runs(f"--dataset {ratios} --paper lncm --methods ce {_FEATURES}"))


def _hyperspherical(options: str, values: tuple[str, ...], key: str, method: str = "hyperspherical") -> tuple[str, ...]:
    return _runs(*(f"--dataset cifar100 --methods {method} {options} --set {method}.{key}={value}".replace("  ", " ")
                   for value in values))


_COSINES = _runs("--dataset cifar100 --methods hyperspherical --set hyperspherical.dim=100",
                 "--dataset cifar100 --methods etf --set etf.dim=100", "--dataset cifar100 --methods hpn --set hpn.dim=100")
_INTERVAL = _hyperspherical("--set hyperspherical.dim=50", ("3900", "390", "39"), "reassign_every")
_UNIFORMITY = (*_hyperspherical("", ("0", "0.001", "0.01", "0.1", "1"), "uniformity", "psc"),
               *_runs("--dataset cifar100 --methods hyperspherical"))
_DYNAMIC = _hyperspherical("", ("3", "10", "25", "50", "100", "200"), "dim")
_FIXED = _hyperspherical("--set hyperspherical.dynamic=false", ("3", "10", "25", "50", "100", "200"), "dim")

FIGURES: dict[str, FigureSpec] = {figure.name: figure for figure in (
    FigureSpec("prototype.2", "prototype:norms", "class sizes and the norms of softmax classifier, centroids and prototypes",
               "statistics of a stage with a linear classifier and of one with prototypes",
               _runs(f"{_LONG_TAIL} --methods prototype")),
    FigureSpec("prototype.3", "prototype:evolution", "separation of prototypes over training, by head and tail pairs",
               "the curves separation_*_euclidean and separation_*_cosine",
               _runs(f"{_LONG_TAIL} --methods prototype --measure-every 0.02")),
    FigureSpec("learned-ncm.1", "learned_ncm:neighborhoods", "t-SNE of two large classes and a small one",
               "features of the training images", _runs(f"--dataset cifar10-lt@100 --paper lncm --methods ce {_FEATURES}")),
    _variance(2, "cifar10-lt"),
    FigureSpec("learned-ncm.3", "learned_ncm:projections", "learned weights of each class's eigendirections",
               "statistics of local_projection", _runs("--dataset cifar10-lt@200 --methods local_projection")),
    FigureSpec("learned-ncm.4", "learned_ncm:learning_curves", "accuracy of many, medium and few over training",
               "the curves held_out_many, held_out_medium and held_out_few, or train_many and so on",
               _runs("--dataset cifar100-lt@200 --paper lncm --methods ce+learning_curve --hold-out")),
    FigureSpec("learned-ncm.5", "learned_ncm:adjustment_weight", "accuracy over the weight of logit adjustment",
               "several runs of lncm or lncm_la with different tau",
               _runs(*(f"{_LONG_TAIL} --methods lncm --set lncm.tau={tau}"
                       for tau in ("0", "0.0625", "0.125", "0.25", "0.5", "1")))),
    FigureSpec("learned-ncm.6", "learned_ncm:displacement", "displacement of learned centroids, and CDNV over training",
               "statistics and the curve cdnv of lncm or lncm_la", _runs(f"{_LONG_TAIL} --methods lncm")),
    _variance(7, "cifar100-lt"),
    _variance(8, "cifar20-lt"),
    FigureSpec("iccl.2", "iccl:norms", "norms of classifiers after both stages, and of running centroids",
               "statistics of two stages with linear classifiers",
               _runs("--dataset imagenet-lt --methods iccl/iccl_rebalance",
                     "--dataset imagenet-lt --paper iccl --methods ce/crt --set crt.inputs=images")),
    FigureSpec("iccl.3", "iccl:embeddings", "t-SNE of projected embeddings with the running centroids",
               "train.projection of iccl as the last stage, best at ratios 100, 50 and 10",
               _runs(f"--dataset cifar10-lt@100,cifar10-lt@50,cifar10-lt@10 --methods iccl {_FEATURES}")),
    FigureSpec("iccl.4", "iccl:distillation", "accuracy over the temperature of distillation",
               "several runs of iccl_rebalance with different distill_temperature",
               _runs(*(f"--dataset imagenet-lt --methods iccl/iccl_rebalance --set iccl_rebalance.distill_temperature={value}"
                       for value in ("1", "5", "10", "20")))),
    FigureSpec("iccl-centroids", "iccl:centroids", "share of class means that find the running centroid of their own class",
               "the curves centroids_many, centroids_medium and centroids_few of iccl", _runs(f"{_LONG_TAIL} --methods iccl")),
    FigureSpec("nc.2", "nc:pairwise_angles", "pairwise angles of centered class means", "statistics",
               _runs("--dataset cifar10-lt@100 --paper nc --methods ce+mixup,rs+mixup,rw+mixup,nc")),
    FigureSpec("nc.3", "nc:mean_norms", "norms of centered class means by class", "statistics",
               _runs("--dataset cifar10,cifar10-lt@100 --paper nc --methods ce+mixup", "--dataset cifar10-lt@100 --methods nc")),
    FigureSpec("hyperspherical.2", "hyperspherical:spread", "mean angle and closest pair of prototypes, beside random ones",
               "statistics of a stage with unit prototypes", _COSINES[:1]),
    FigureSpec("hyperspherical.3", "assignment:figure3", "all four panels of the figure", "what 3a, 3b and 3d need",
               (*_COSINES, *_INTERVAL, *_UNIFORMITY), repeatable=False),
    FigureSpec("hyperspherical.3a", "hyperspherical:cosines", "mean cosine of each prototype with the others",
               "statistics of stages with unit prototypes", _COSINES),
    FigureSpec("hyperspherical.3b", "assignment:interval", "accuracy over the number of assignments an epoch",
               "several runs of hyperspherical with different reassign_every", _INTERVAL),
    FigureSpec("hyperspherical.3c", "assignment:seconds", "time of one assignment, measured when the figure is made",
               "nothing", (), repeatable=False),
    FigureSpec("hyperspherical.3d", "assignment:uniformity", "accuracy over the weight of the uniformity loss",
               "several runs of psc with different uniformity, and hyperspherical", _UNIFORMITY),
    FigureSpec("hyperspherical.4", "assignment:figure4", "both panels of the figure", "what 4a and 4b need",
               (*_DYNAMIC, *_FIXED)),
    FigureSpec("hyperspherical.4a", "assignment:dimensions", "accuracy over the dimension, labels moving and fixed",
               "several runs of hyperspherical with different dim, dynamic and not", (*_DYNAMIC, *_FIXED)),
    FigureSpec("hyperspherical.4b", "assignment:churn", "share of labels that move, over training", "the curve churn", _DYNAMIC),
    FigureSpec("neural-collapse", "neural_collapse:neural_collapse", "NC1 to NC4 of any runs",
               "statistics; with features also the exact NC1, and NC4 of images",
               _runs(f"{_LONG_TAIL} --paper nc --methods ce+mixup,drw+mixup,nc+drw {_FEATURES}")),
)}
