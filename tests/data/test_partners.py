from __future__ import annotations

import pytest
import torch

from ltbench.data.batch import Batch
from ltbench.data.partners import draw_partners

LABELS = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6])


def images_of(labels: torch.Tensor) -> torch.Tensor:
    return labels.float().reshape(-1, 1, 1, 1)


def part(step: int, rank: int) -> Batch:
    """Return a quarter of the global batch: two processes, two accumulation steps."""
    def rows(step: int) -> slice:
        return slice(4 * step + 2 * rank, 4 * step + 2 * rank + 2)

    own = LABELS[rows(step)]
    pieces = [images_of(LABELS[rows(0)]), images_of(LABELS[rows(1)])]
    return Batch(pieces[step], own, [(own, 1.0)], own, LABELS, chunks=4, first=rows(step).start, pieces=pieces)


@pytest.mark.parametrize("seed", [0, 1])
def test_parts_have_the_partners_of_the_whole(seed: int) -> None:
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    whole = Batch(images_of(LABELS), LABELS, [(LABELS, 1.0)], LABELS, LABELS)
    partners = draw_partners(whole, torch.Generator().manual_seed(seed), lambda rows: rows)
    assert partners.images.flatten().tolist() == LABELS[order].tolist() == partners.targets[0][0].tolist()
    for step in (0, 1):
        for rank in (0, 1):
            # Process 0 gathers first its own first piece and that of process 1, then the second ones.
            others = {id(mine): torch.cat([part(number, 0).pieces[number], part(number, 1).pieces[number]])
                      for number, mine in enumerate(batch.pieces)} if (batch := part(step, rank)) else {}
            found = draw_partners(batch, torch.Generator().manual_seed(seed), lambda mine, others=others: others[id(mine)])
            rows = slice(batch.first, batch.first + 2)
            assert found.images.flatten().tolist() == LABELS[order][rows].tolist() == found.targets[0][0].tolist()


def test_weights_go_with_their_labels() -> None:
    weights = torch.arange(8.0)
    whole = Batch(images_of(LABELS), LABELS, [(LABELS, weights)], LABELS, LABELS)
    ((labels, moved),) = draw_partners(whole, torch.Generator().manual_seed(0), lambda rows: rows).targets
    assert isinstance(moved, torch.Tensor) and labels.tolist() == LABELS[moved.long()].tolist()


def test_refuses_features() -> None:
    with pytest.raises(ValueError, match="mixing needs images"):
        draw_partners(Batch(None, LABELS, [], LABELS, LABELS), torch.Generator(), lambda rows: rows)


def test_rows_of_the_global_batch_fall_to_its_parts() -> None:
    drawn = torch.arange(16.0).reshape(8, 2)
    assert part(0, 0).rows_of(drawn).tolist() == [[0.0, 1.0], [2.0, 3.0]]
    parts = [part(step, rank).rows_of(drawn) for step in (0, 1) for rank in (0, 1)]
    assert torch.equal(torch.cat(parts), drawn)
    whole = Batch(images_of(LABELS), LABELS, [(LABELS, 1.0)], LABELS, LABELS)
    assert torch.equal(whole.rows_of(drawn), drawn)


def test_labels_of_partners_are_those_of_their_images() -> None:
    whole = Batch(images_of(LABELS), LABELS, [(LABELS, 1.0)], LABELS, LABELS)
    partners = draw_partners(whole, torch.Generator().manual_seed(0), lambda rows: rows)
    assert partners.labels.tolist() == partners.images.flatten().tolist()
