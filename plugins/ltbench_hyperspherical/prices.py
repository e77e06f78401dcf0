"""Prices of prototypes under which labels hardly compete: an auction with falling increments (Bertsekas, 1988).

Any prices leave the best bijection what it was, for every bijection pays all of them. Good ones spare an exact solver most of its
search. They need not be exact, so the auction is stopped early, in single precision.
"""

from __future__ import annotations

import torch
from torch import Tensor

_FIRST, _LAST, _FALL = 0.1, 3e-4, 6.0  # increments, in standard deviations of the costs: from, to, and divided by what in between
_UNPLACED = 0.01  # share of labels without a prototype at which an auction stops: the last few bid against each other for long
_BIDS = 20  # a label, in all; 8 to 13 are usual, but labels with equal costs would bid without end
_ROWS = 256  # labels that bid at once: their costs stay in the processor's cache
_GROUP = 64  # prototypes whose lowest cost is found first: a smallest number is found faster than its place


def prices(costs: Tensor) -> Tensor:
    """Return a price for each prototype, shape (C,), of the type of the costs; zeros where all costs are alike.

    Takes half as much memory again as float64 costs do.

    Args:
        costs: Of each label (row) with each prototype, finite, shape (C, C).
    """
    classes, scale = len(costs), costs.std(correction=0)
    if not scale > 0:
        return torch.zeros_like(costs[0])
    # Nobody bids for what fills the last group.
    single = costs.new_full((classes, classes + -classes % _GROUP), torch.inf, dtype=torch.float32)
    # A part at a time: a quotient is as wide as its costs.
    for part, filled in zip(torch.split(costs, _ROWS), torch.split(single, _ROWS), strict=True):
        filled[:, :classes] = part / scale
    found = torch.zeros_like(single[0])
    left, increment = _BIDS * classes, _FIRST
    while left > 0:
        left = _auction(single, found, increment, left)
        if increment == _LAST or left >= (_BIDS - 1) * classes:  # as features come near their prototypes, hardly one is outbid
            break
        increment = max(increment / _FALL, _LAST)
    return found[:classes].to(costs.dtype) * scale


def _auction(costs: Tensor, found: Tensor, increment: float, left: int) -> int:
    """Sell all prototypes anew, each label bidding for its cheapest; raise prices in place and return how many bids are left."""
    classes = len(costs)
    owner = torch.full(found.shape, -1, device=costs.device)
    placed = torch.zeros(classes, dtype=torch.bool, device=costs.device)
    bidders = torch.arange(classes, device=costs.device)
    while len(bidders) > _UNPLACED * classes and left > 0:
        left -= len(bidders)
        offers = [_bid(costs[rows].add_(found)) for rows in torch.split(bidders, _ROWS)]
        wanted = torch.cat([column for column, _ in offers])
        rise = torch.cat([margin for _, margin in offers]) + increment
        # The highest bid wins; of equal ones the first label's, so that the same costs always give the same prices.
        highest = torch.zeros_like(found).scatter_reduce_(0, wanted, rise, "amax")
        bids = rise == highest[wanted]
        bidders, wanted = bidders[bids], wanted[bids]
        winner = torch.full_like(owner, classes).scatter_reduce_(0, wanted, bidders, "amin")
        sold = winner < classes
        placed[owner[sold & (owner >= 0)]] = False
        owner[sold] = winner[sold]
        placed[winner[sold]] = True
        found += highest
        bidders = (~placed).nonzero()[:, 0]
    return left


def _bid(costs: Tensor) -> tuple[Tensor, Tensor]:
    """Return each label's cheapest prototype and by how much the second is dearer, both shape (n,)."""
    parts = costs.view(len(costs), -1, _GROUP)
    groups = parts.amin(dim=2)
    lowest, group = groups.min(dim=1)
    members = parts[torch.arange(len(costs), device=costs.device), group]  # (n, 64)
    place = members.argmin(dim=1)
    elsewhere = groups.scatter_(1, group[:, None], torch.inf).amin(dim=1)
    second = members.scatter_(1, place[:, None], torch.inf).amin(dim=1).minimum(elsewhere)
    return group * _GROUP + place, second - lowest
