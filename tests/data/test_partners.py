from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from ltbench.data.batch import Batch
from ltbench.data.partners import draw_partners
from ltbench.errors import UserError

LABELS = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6])


def images_of(labels: torch.Tensor) -> torch.Tensor:
    return labels.float().reshape(-1, 1, 1, 1)


def part(step: int, rank: int) -> Batch:
    """Return a quarter of the global batch: two processes, two accumulation steps."""
    def rows(step: int) -> slice:
        return slice(4 * step + 2 * rank, 4 * step + 2 * rank + 2)

    own = LABELS[rows(step)]
    pieces = [[images_of(LABELS[rows(step)]), 100 + images_of(LABELS[rows(step)])] for step in (0, 1)]
    return Batch(pieces[step][0], own, [(own, 1.0)], own, LABELS, views=pieces[step], chunks=4, first=rows(step).start,
                 pieces=pieces)


def gathered(batch: Batch) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what gathers rows: process 0 has first its own first piece and that of process 1, then the second ones."""
    others = {id(mine): torch.cat([part(number, 0).pieces[number][view], part(number, 1).pieces[number][view]])
              for number, piece in enumerate(batch.pieces) for view, mine in enumerate(piece)}
    return lambda mine: others[id(mine)]


@pytest.mark.parametrize("seed", [0, 1])
def test_parts_have_the_partners_of_the_whole(seed: int) -> None:
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    whole = Batch(images_of(LABELS), LABELS, [(LABELS, 1.0)], LABELS, LABELS)
    partners = draw_partners(whole, torch.Generator().manual_seed(seed), lambda rows: rows)
    assert partners.images.flatten().tolist() == LABELS[order].tolist() == partners.targets[0][0].tolist()
    for step in (0, 1):
        for rank in (0, 1):
            batch = part(step, rank)
            found = draw_partners(batch, torch.Generator().manual_seed(seed), gathered(batch))
            rows = slice(batch.first, batch.first + 2)
            assert found.images.flatten().tolist() == LABELS[order][rows].tolist() == found.targets[0][0].tolist()


def test_all_views_have_the_same_partners() -> None:
    order = torch.randperm(8, generator=torch.Generator().manual_seed(3))
    first, second = images_of(LABELS), 100 + images_of(LABELS)
    whole = Batch(first, LABELS, [(LABELS, 1.0)], LABELS, LABELS, views=[first, second])
    for batch in (whole, *(part(step, rank) for step in (0, 1) for rank in (0, 1))):
        found = draw_partners(batch, torch.Generator().manual_seed(3), gathered(batch), views=2)
        expected = LABELS[order][batch.first:batch.first + len(batch.labels)]
        assert [view.flatten().tolist() for view in found.views] == [expected.tolist(), (100 + expected).tolist()]
        assert found.images is found.views[0]
    with pytest.raises(ValueError, match="views must be 1 to 2, as many as a sample comes in, got 3"):
        draw_partners(whole, torch.Generator(), lambda rows: rows, views=3)


def test_weights_go_with_their_labels() -> None:
    weights = torch.arange(8.0)
    whole = Batch(images_of(LABELS), LABELS, [(LABELS, weights)], LABELS, LABELS)
    ((labels, moved),) = draw_partners(whole, torch.Generator().manual_seed(0), lambda rows: rows).targets
    assert isinstance(moved, torch.Tensor) and labels.tolist() == LABELS[moved.long()].tolist()


def test_one_image_has_no_partner() -> None:
    alone = torch.tensor([3])
    whole = Batch(images_of(alone), alone, [(alone, 1.0)], alone, alone)
    with pytest.raises(UserError, match="^mixing must have a global batch of at least 2 images, got 1: raise --batch-size$"):
        draw_partners(whole, torch.Generator(), lambda rows: rows)
    # One image of each of two processes is none.
    own, both = alone, torch.tensor([3, 1])
    half = Batch(images_of(own), own, [(own, 1.0)], own, both, chunks=2, pieces=[[images_of(own)]])
    assert len(draw_partners(half, torch.Generator().manual_seed(0), lambda rows: images_of(both)).labels) == 1


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
