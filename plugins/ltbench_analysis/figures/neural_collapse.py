"""NC1 to NC4 of any runs, see :mod:`ltbench_analysis.collapse`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch

import ltbench
from ltbench_analysis.collapse import center_disagreement, linear_decision, scatter_trace, statistics_figures
from ltbench_analysis.drawing import Drawing, Panel, Series
from ltbench_analysis.layer import Layer
from ltbench_analysis.runs import Lacking, Run, groups, suitable

# Title of a panel -> name of a figure -> what the legend calls it.
_PANELS: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "NC1: within against between": {"nc1": "tr(S_W) / tr(S_B)", "nc1_features": "tr(S_W S_B^+) / C"},
    "NC2: a simplex": {"nc2_norms": "means, norms", "nc2_angles": "means, angles", "nc2_simplex": "means, from simplex",
                       "nc2_classifier_norms": "classifier, norms", "nc2_classifier_angles": "classifier, angles",
                       "nc2_classifier_simplex": "classifier, from simplex"},
    "NC3: self-duality": {"nc3": "classifier against means"},
    "NC4: not as the nearest center": {"nc4_means": "class means", "nc4_train": "training images", "nc4_test": "test images"},
})


def neural_collapse(runs: Sequence[Run]) -> Drawing:
    """Draw NC1 to NC4 side by side; each run says what it keeps the data for."""
    kept = suitable(runs, _some_classes)
    found = {}
    for group in groups(kept):
        each = [_figures(run) for run in group.runs]
        # What only some of the seeds can say is not averaged with others' nothing.
        found[group.label] = {name: sum(figures[name] for figures in each) / len(each) for name in each[0]
                              if all(name in figures for figures in each)}
    panels = []
    for title, names in _PANELS.items():
        series = [Series(shown, list(found), [figures.get(name) for figures in found.values()], None, "bars")
                  for name, shown in names.items() if any(name in figures for figures in found.values())]
        if series:
            panels.append(Panel(title, "", "0 in full collapse", series))
    return Drawing(panels, dict(found), kept)


def _some_classes(run: Run) -> Layer:
    layer = run.layer()
    if len(layer.classes) < 2:
        raise Lacking("at least two classes with training images", run)
    return layer


def _figures(run: Run) -> dict[str, float]:
    layer = _some_classes(run)
    figures = statistics_figures(layer)
    if "train.features" in run.tensors:
        features, labels = run.features("train")
        figures["nc1_features"] = scatter_trace(features, labels)
        decided = linear_decision(features, layer)
        if decided is not None:
            figures["nc4_train"] = center_disagreement(features, layer.means, decided)
    if "test.features" in run.tensors and (answers := _answers(run)) is not None:
        place = torch.full((len(run.counts),), -1)
        place[layer.classes] = torch.arange(len(layer.classes))
        figures["nc4_test"] = center_disagreement(run.features("test")[0], layer.means, place[answers])
    return figures


def _answers(run: Run) -> torch.Tensor | None:
    """Return the class that the run gave each test image; None where it looked at other views than its features are of."""
    protocol = run.record.stages[-1].protocol or run.record.protocol.as_dict()
    if protocol.get("eval_flip") or protocol.get("eval_noise") or not run.record.predictions:
        return None
    path = run.path.parent / run.record.predictions.file
    try:
        with np.load(path, allow_pickle=False) as file:
            labels, answers = file["labels"], file["argmax"]
    except Exception as error:  # whatever a damaged archive does to the reader
        raise ltbench.UserError(f"predictions {path} cannot be read ({type(error).__name__})") from None
    if labels.tolist() != run.features("test")[1].tolist():
        raise ltbench.UserError(f"predictions {path} must be of the images whose features are kept, got others")
    return torch.from_numpy(np.asarray(answers, dtype=np.int64))
