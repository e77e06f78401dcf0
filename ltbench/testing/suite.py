"""The checks as a class of tests, for pytest or any runner that calls methods named ``test_...``."""

from __future__ import annotations

from typing import ClassVar

from ltbench.testing.dataset_kit import check_dataset
from ltbench.testing.kit import run_apart, run_check
from ltbench.testing.metric_kit import check_metric
from ltbench.testing.results import Result


class MethodConformance:
    """Test one registered method; derive a class whose name begins with ``Test``.

    Attributes:
        plugins: Modules, files or folders of distributions that are not installed.
        stands_on: What the method stands on as a later stage; None for the base method.
    """

    method: ClassVar[str]
    plugins: ClassVar[tuple[str, ...]] = ()
    stands_on: ClassVar[str | None] = None

    def _require(self, check: str) -> None:
        _require(run_check(check, self.method, plugins=self.plugins, stands_on=self.stands_on))

    def test_spec_matches_the_class(self) -> None:
        """The spec and the class say the same."""
        self._require("spec")

    def test_refuses_bad_hyperparameters_by_name(self) -> None:
        """Unknown and ill-typed hyperparameters are refused by name."""
        self._require("refusals")

    def test_its_paper_can_be_planned(self) -> None:
        """Every setting that its paper states makes a run."""
        self._require("paper")

    def test_trains_two_steps(self) -> None:
        """Two steps on real digits give a finite loss."""
        self._require("trains")

    def test_gives_the_right_shapes(self) -> None:
        """Every slot gives what its signature says."""
        self._require("shapes")

    def test_is_deterministic(self) -> None:
        """One seed gives the same bits twice."""
        self._require("deterministic")

    def test_survives_saving_and_loading(self) -> None:
        """A loaded stage predicts what the saved one did."""
        self._require("save_and_load")

    def test_resumes_where_it_was_interrupted(self) -> None:
        """A checkpoint loses nothing."""
        self._require("resumes")

    def test_trains_in_bfloat16(self) -> None:
        """Mixed precision gives no NaN."""
        self._require("bf16")

    def test_trains_on_an_accelerator(self) -> None:
        """Everything is on the device: a GPU, or its stand-in where there is none."""
        self._require("devices")

    def test_handles_a_class_with_one_image(self) -> None:
        """A class of one image gives no NaN."""
        self._require("one_image")

    def test_handles_a_batch_with_one_class(self) -> None:
        """A batch of one class gives no NaN."""
        self._require("one_class")

    def test_measuring_changes_nothing(self) -> None:
        """Figures for the training curve leave the training as it was."""
        self._require("measures")

    def test_composes_with_others(self) -> None:
        """Other methods can stand beside it and on it."""
        self._require("composes")

    def test_accumulation_changes_nothing(self) -> None:
        """Batches in one part and in two train the same, or the key says in how many."""
        self._require("accumulation")

    def test_composes_with_usual_partners(self) -> None:
        """It trains beside and below what others are usually combined with, or says why not."""
        self._require("partners")

    def test_two_processes_agree(self) -> None:
        """Two processes end with the same parameters and buffers."""
        self._require_apart("two_processes")

    def test_bears_many_classes(self) -> None:
        """8,142 classes need no memory for their pairs."""
        self._require_apart("many_classes")

    def _require_apart(self, check: str) -> None:
        _require(run_apart(check, [self.method], plugins=self.plugins, stands_on=self.stands_on)[self.method])


class DatasetConformance:
    """Test one registered dataset; derive a class whose name begins with ``Test``."""

    dataset: ClassVar[str]
    plugins: ClassVar[tuple[str, ...]] = ()
    data_root: ClassVar[str | None] = None

    def test_conforms(self) -> None:
        """The dataset passes every check."""
        for result in check_dataset(self.dataset, plugins=self.plugins, data_root=self.data_root):
            _require(result)


class MetricConformance:
    """Test one registered metric; derive a class whose name begins with ``Test``."""

    metric: ClassVar[str]
    plugins: ClassVar[tuple[str, ...]] = ()

    def test_conforms(self) -> None:
        """The metric passes every check."""
        for result in check_metric(self.metric, plugins=self.plugins):
            _require(result)


def _require(result: Result) -> None:
    assert result.ok, str(result)
