"""From a transformer that was trained on balanced digits to the long-tailed ones, upside down: each method learns."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ltbench.data.digits import DigitsLT
from ltbench.testing import scene
from ltbench.testing.scene import Scene
from tests.support.transformers import PRETRAINED, trained_count
