from __future__ import annotations

import pytest

from ltbench.terms.protocol import Protocol
from ltbench_baselines.wd import WeightDecay
from tests.support.stages import facts


def test_overrides_the_weight_decay_only() -> None:
    protocol = Protocol("common", backbone="none", epochs=200)
    changed = protocol.replace(**WeightDecay(facts([9, 1])).protocol_overrides())
    assert changed.weight_decay == 0.005
    assert {**changed.as_dict(), "weight_decay": 5e-4, "name": "common"} == protocol.as_dict()
    assert WeightDecay(facts([9, 1]), weight_decay=0.1).protocol_overrides() == {"weight_decay": 0.1}


def test_refuses_bad_values() -> None:
    with pytest.raises(ValueError, match="weight_decay must be >= 0, got -1"):
        WeightDecay(facts([9, 1]), weight_decay=-1)
