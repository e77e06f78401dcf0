from __future__ import annotations

import torch

from ltbench_analysis.layer import by_size, read_layer


def tensors(**head: torch.Tensor) -> dict[str, torch.Tensor]:
    made = {"class_counts": torch.tensor([5, 0, 2]), "class_means": torch.tensor([[1.0, 0], [0, 0], [0, 1]]),
            "class_variance": torch.tensor([0.5, 0, 0.25])}
    return made | {f"head.classifier.{name}": value for name, value in head.items()}


def test_an_absent_class_is_left_out() -> None:
    layer = read_layer(tensors(weight=torch.arange(6.0).reshape(3, 2), bias=torch.arange(3.0)))
    assert layer.classes.tolist() == [0, 2]
    assert layer.means.tolist() == [[1, 0], [0, 1]] and layer.variance.tolist() == [0.5, 0.25]
    assert layer.kind == "classifier" and not layer.points
    assert layer.vectors is not None and layer.vectors.tolist() == [[0, 1], [4, 5]]
    assert layer.bias is not None and layer.bias.tolist() == [0, 2]


def test_prototypes_are_points_and_assigned_ones_are_directions_in_the_order_of_labels() -> None:
    prototypes = torch.arange(6.0).reshape(3, 2)
    layer = read_layer(tensors(prototypes=prototypes))
    assert layer.points and layer.kind == "prototypes" and layer.bias is None
    moved = read_layer(tensors(prototypes=prototypes, assignment=torch.tensor([2, 0, 1])))
    assert not moved.points and moved.kind == "prototypes"
    assert moved.vectors is not None and moved.vectors.tolist() == [[4, 5], [2, 3]]  # of labels 0 and 2


def test_other_heads_have_no_vectors() -> None:
    for head in ({}, {"weight": torch.ones(5, 2)}, {"prototypes": torch.ones(3)}):
        layer = read_layer(tensors(**head))
        assert layer.vectors is None and layer.kind is None


def test_equal_classes_keep_their_order() -> None:
    assert by_size(torch.tensor([3, 9, 3, 9, 1])).tolist() == [1, 3, 0, 2, 4]
