"""What a printed row says of the run that makes it, and what a plan says: both as figures by name."""

from __future__ import annotations

import re

from ltbench.planning.plan import RunPlan

Row = tuple[str, ...]
"""Paper, table, dataset, ratio, backbone, setting, row: as in the table of plugins/README.md."""

BACKBONES = {"resnet10": "resnet10", "resnet32": "resnet32", "resnet18": "resnet18cifar", "resnet50": "timm:resnet50",
             "resnet101": "timm:resnet101", "resnext50": "timm:resnext50_32x4d", "swin-t": "timm:swin_tiny_patch4_window7_224"}
NC_TERMS = {"nc L_W": (True, False), "nc L_B": (False, True), "center-loss + nc L_B": (False, True), "nc L_W + L_B": (True, True)}
DISTANCES = {"euclidean": "euclidean", "squared-euclidean": "squared", "cosine": "cosine"}
# Printed as ResNet-32, whose form the authors' code has.
FORMS = {("hyperspherical", "cifar100"): "resnet32conv", ("hyperspherical", "imagenet200"): "resnet32conv",
         ("hyperspherical", "cifar100-lt"): "resnet32x2"}
WITH_DIM = ("hyperspherical", "hyperspherical_psc", "psc", "etf")

# Methods of each stage, in the order of the alphabet. A third word tells rows of one name apart: setting, dataset or table.
METHODS: dict[tuple[str, ...], str] = {
    ("prototype", "softmax"): "wd", ("prototype", "ncm"): "wd/ncm", ("prototype", "pc"): "wd/pc",
    ("prototype", "pc+cdt"): "wd/pc_cdt", ("prototype", "pc+la"): "wd/pc_la", ("prototype", "pc+cdt+la"): "wd/prototype",
    **{("prototype", f"pc+cdt+la {distance}"): "wd/prototype" for distance in DISTANCES},
    **{("prototype", f"{below} > {name}"): method + rest
       for below, method in (("ce", "ce"), ("dro-lt", "dro_lt"), ("wd", "wd"))
       for name, rest in (("ce", ""), ("crt", "/crt"), ("wd+maxnorm", "/maxnorm+wd"), ("pc", "/prototype"))},
    ("learned-ncm", "softmax"): "ce", ("learned-ncm", "ncm"): "ce/ncm", ("learned-ncm", "decoupling"): "ce/crt",
    ("learned-ncm", "lncm"): "ce/lncm", ("learned-ncm", "lncm+la"): "ce/lncm_la", ("learned-ncm", "lncm bn"): "ce/bn_stats/lncm",
    ("learned-ncm", "multi-ncm"): "ce/lncm/multi_ncm", ("learned-ncm", "multi-ncm+la"): "ce/lncm/multi_ncm_la",
    ("learned-ncm", "multi-ncm bn"): "ce/bn_stats/lncm/multi_ncm",
    ("learned-ncm", "lncm global-metric"): "ce/lncm_global", ("learned-ncm", "lncm local-metric"): "ce/lncm_local",
    **{("iccl", name): "iccl/iccl_rebalance"
       for name in ("iccl", "iccl uniform", "iccl gamma=0", "iccl gamma=0.5", "iccl gamma=1", "balanced-sampling",
                    "iccl rebalancing", "ce_it", "ce_it+warmup", "ce+cc_it+warmup", "ce+ce_it+warmup", "ce+ce_it+cc_it",
                    "ce+ce_it+cc_it+warmup")},
    ("iccl", "iccl", "without rebalancing"): "iccl", ("iccl", "post-hoc logit-adjustment"): "iccl/post_la",
    ("iccl", "ce", "without rebalancing"): "ce", ("iccl", "ce", "with rebalancing"): "ce/crt",
    ("iccl", "ce", "loss components"): "ce/iccl_rebalance",
    ("iccl", "mixup", "without rebalancing"): "mixup", ("iccl", "mixup", "with rebalancing"): "mixup/iccl_rebalance",
    **{("iccl", f"{name}{rest}"): f"ce/{name}" for name in ("crt", "lws") for rest in ("", " (improved settings)")},
    ("iccl", "crt", "8"): "ce/iccl_rebalance", ("iccl", "crt", "rebalancing gamma'=0 distillation weight=0"): "ce/crt",
    ("iccl", "tde (improved settings)"): "tde",
    ("nc-regularizers", "ce"): "mixup", ("nc-regularizers", "mse"): "mixup+mse", ("nc-regularizers", "ce-drw"): "drw+mixup",
    ("nc-regularizers", "ce+nc"): "mixup+nc", ("nc-regularizers", "mse+nc"): "mixup+mse+nc",
    ("nc-regularizers", "nc+drw"): "drw+mixup+nc", ("nc-regularizers", "nc+drw > crt"): "drw+mixup+nc/crt",
    ("nc-regularizers", "ldam-drw+nc"): "drw+ldam+nc", ("nc-regularizers", "logit-adjustment+nc"): "la+nc",
    ("nc-regularizers", "ldam-drw+nc", "imagenet-lt"): "drw+ldam+mixup+nc",
    ("nc-regularizers", "logit-adjustment+nc", "imagenet-lt"): "la+mixup+nc",
    **{("nc-regularizers", f"ride {experts} experts"): "drw+ldam+ride" for experts in (2, 3, 4)},
    **{("nc-regularizers", f"ride+nc {experts} experts"): "drw+ldam+nc+ride" for experts in (2, 3, 4)},
    **{("nc-regularizers", name): "drw+mixup+nc" for name in ("nc L_W", "nc L_B", "nc L_W + L_B")},
    ("nc-regularizers", "center-loss"): "center_loss+drw+mixup",
    ("nc-regularizers", "center-loss + nc L_B"): "center_loss+drw+mixup+nc",
    ("hyperspherical", "hyperspherical"): "hyperspherical", ("hyperspherical", "hyperspherical", "3"): "hyperspherical+mixup",
    **{("hyperspherical", "hyperspherical", table): "hyperspherical+mixup" for table in ("4", "5", "6")},
    **{("hyperspherical", name): "psc" for name in ("psc", "psc*", "fixed prototypes with cross-entropy")},
    ("hyperspherical", "hyperspherical*"): "psc/hyperspherical_psc",
}


def printed_facts(row: Row) -> dict[str, object]:
    """Return what the row's cells say, by the names that :func:`planned_fact` takes."""
    paper, table, dataset, ratio, backbone, setting, name = row
    words = next(key for key in ((paper, name, setting), (paper, name, dataset), (paper, name, table), (paper, name))
                 if key in METHODS)
    noise = re.search(r"std=([\d.]+)", setting)
    # A dataset that is a list of files has the one ratio that it has, whatever is printed.
    chosen = float(ratio) if ratio and dataset != "imagenet1k" else None
    facts: dict[str, object] = {"dataset": dataset, "ratio": chosen,
                                "methods": METHODS[words], "noise": float(noise[1]) if noise else 0.0}
    if backbone:
        facts["backbone"] = FORMS.get((paper, dataset), BACKBONES[backbone])
    for field, pattern in (("epochs", r"(\d+) epochs"), ("dim", r"\bd=(\d+)")):
        if found := re.search(pattern, setting):
            facts[field] = int(found[1])
    if experts := re.search(r"(\d) experts", name):
        facts["ride.experts"] = int(experts[1])
    if name in NC_TERMS:
        facts["nc.within_weight > 0"], facts["nc.between_weight > 0"] = NC_TERMS[name]
    if paper == "hyperspherical":
        for method in {"hyperspherical", "hyperspherical_psc"} & set(re.split(r"[+/]", METHODS[words])):
            facts[f"{method}.reduction"] = "mean" if dataset.endswith("-lt") else "sum"
    if paper == "hyperspherical" and dataset.endswith("-lt"):
        facts["hyperspherical.head"], facts["hyperspherical.weights"] = "batch_norm", "batch"
    if paper == "hyperspherical" and "psc" in METHODS[words].split("/"):
        facts["psc.uniformity > 0"] = name.endswith("*") and name.startswith("psc")
        facts["psc.normalize"] = True
        facts["psc.prototypes"] = "fixed" if name.startswith("fixed") else "learned"
    if paper == "prototype" and METHODS[words].endswith("/prototype"):
        facts["prototype.distance"] = DISTANCES[name.removeprefix("pc+cdt+la ")] if table == "2" else "euclidean"
    return {**facts, **(_iccl_facts(table, setting, name, METHODS[words]) if paper == "iccl" else {})}


def _iccl_facts(table: str, setting: str, name: str, methods: str) -> dict[str, object]:
    facts: dict[str, object] = {f"{baseline}.inputs": "images" for baseline in ("crt", "lws") if methods == f"ce/{baseline}"}
    if methods.startswith("iccl"):
        parts = name.split("+") if table == "4" else ["ce", "ce_it", "cc_it", "warmup"]
        facts |= {"iccl.ce_it": "ce_it" in parts, "iccl.cc_it": "cc_it" in parts, "iccl.warmup > 0": "warmup" in parts}
        if table == "4":
            facts["iccl.uniform_weight"] = 1 if "ce" in parts else 0
        facts["iccl.sampler"] = "class_agnostic" if name == "iccl uniform" else "class_aware"
        gamma = re.search(r" gamma=([\d.]+)", name)
        facts["iccl.gamma"] = float(gamma[1]) if gamma else 0
    if methods.endswith("/iccl_rebalance"):
        printed = re.search(r"gamma'=([\d.]+) distillation weight=([\d.]+)", setting)
        strength = (float(printed[1]), float(printed[2])) if printed else (1, 0.5)
        if name == "balanced-sampling":
            strength = (0, 0)
        if setting == "iccl no distillation":
            strength = (1, 0)
        facts["iccl_rebalance.gamma"], facts["iccl_rebalance.distill_weight"] = strength
        facts["iccl_rebalance.classifier"] = "new" if name == "crt" else "reused"
    return facts


def planned_fact(plan: RunPlan, name: str) -> object:
    """Return what a plan says: of the task, of its first stage's protocol, or ``method.option``, with ``> 0`` if it is."""
    first = plan.stages[0].protocol
    plain = {"dataset": plan.task.dataset, "ratio": plan.task.imbalance_ratio, "noise": plan.stages[-1].protocol.eval_noise,
             "methods": "/".join("+".join(sorted(choice.method.name for choice in stage.choices)) for stage in plan.stages),
             "backbone": first.backbone, "epochs": first.epochs}
    if name in plain:
        return plain[name]
    choices = [choice for stage in plan.stages for choice in stage.choices]
    if name == "dim":
        (value,) = {choice.values["dim"] for choice in choices if choice.method.name in WITH_DIM}
        return value
    method, option = name.removesuffix(" > 0").split(".")
    (value,) = [choice.values[option] for choice in choices if choice.method.name == method]
    return value > 0 if name.endswith(" > 0") else value
