"""How methods combine within a stage: who owns a slot, what is shared, what is a conflict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from torch import Tensor

from ltbench.errors import UserError
from ltbench.method.contract import Method

if TYPE_CHECKING:
    from ltbench.data.batch import Batch
    from ltbench.method.context import Context

OWNED = ("build_backbone", "make_classifier", "build_head", "streams", "views", "mix", "criterion", "step", "predict",
         "test_views")
ORDERED = ("fit", "adjust_logits")
EVALUATION = frozenset({"predict", "test_views", "adjust_logits"})
SLOTS = (*OWNED, *ORDERED, "class_weights", "extra_losses", "parameter_groups", "setup", "start_epoch", "after_step", "end_epoch",
         "protocol_overrides", "measure")


_FORMS = {"criterion": ("criterion", "sample_losses")}  # slots that may be written in more than one way


def overrides(method: type[Method], slot: str) -> bool:
    """Tell whether a class gives a slot a meaning of its own."""
    return any(getattr(method, form) is not getattr(Method, form) for form in _FORMS.get(slot, (slot,)))


def slots_of(method: type[Method]) -> frozenset[str]:
    """Return the slots that a class overrides."""
    return frozenset(slot for slot in SLOTS if overrides(method, slot))


def evaluation_only(method: type[Method]) -> bool:
    """Tell whether a class changes nothing about training: it then never enters the key of a stage."""
    slots = slots_of(method)
    return bool(slots) and slots <= EVALUATION


def passive(method: type[Method]) -> bool:
    """Tell whether a class only watches: it has no say in what a stage does."""
    return slots_of(method) == {"measure"}


def owner_of(methods: Sequence[type[Method]], slot: str) -> int | None:
    """Return the position of the class that owns a slot, or None where all leave it at its default.

    Raises:
        UserError: If two claim it, naming both and the slot.
    """
    claims = [position for position, method in enumerate(methods) if overrides(method, slot)]
    if len(claims) > 1:
        claims = [position for position in claims if slot not in methods[position].yields] or claims
    if len(claims) > 1:
        first, second = (methods[position].name for position in claims[:2])
        raise UserError(f"{first!r} and {second!r} cannot stand in one stack: both own {slot!r}")
    return claims[0] if claims else None


def check(methods: Sequence[type[Method]], stage: int) -> None:
    """Refuse a stack that cannot work, before any data is read.

    Raises:
        UserError: For a method twice, a method in a stage that it does not fit, or two owners of one slot.
    """
    names = [method.name for method in methods]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{name!r} stands twice in one stack")
    for method in methods:
        if min(stage, 2) not in method.stages:
            fits = "the first stage" if method.stages == {1} else "a later stage"
            raise UserError(f"{method.name!r} fits {fits} only, got it in stage {stage}")
    for slot in OWNED:
        owner_of(methods, slot)


def canonical_order(methods: Sequence[type[Method]]) -> list[int]:
    """Return positions in the order that names a stack, so that ``drw+ldam`` and ``ldam+drw`` are one row.

    Owners of the criterion come first, then the rest by name; methods whose order has a meaning come last, as written.
    """
    def rank(position: int) -> tuple[int, int, str]:
        method = methods[position]
        if any(overrides(method, slot) for slot in ORDERED):
            return (2, position, "")
        return (0 if overrides(method, "criterion") else 1, 0, method.name)

    return sorted(range(len(methods)), key=rank)


class Stack:
    """Hold one instance of each method of a stage.

    Args:
        methods: In canonical order.
    """

    def __init__(self, methods: Sequence[Method], stage: int) -> None:
        self.methods = list(methods)
        self.stage = stage
        self._classes = [type(method) for method in methods]
        check(self._classes, stage)
        if self.owns("build_backbone") and not self.tunes_backbone:
            raise UserError(f"{self.owner('build_backbone').name!r} builds a backbone, which a later stage does only where it is "
                            f"tuned or fresh, got {self.backbone} in stage {stage}")

    def owner(self, slot: str) -> Method:
        """Return the method that owns a slot; without one, the first method, whose slot is then the default."""
        position = owner_of(self._classes, slot)
        return self.methods[position or 0]

    def owns(self, slot: str) -> bool:
        """Tell whether any method overrides a slot."""
        return any(overrides(method, slot) for method in self._classes)

    def criterion(self, ctx: Context, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of every sample, shape (B,), by the owner of that slot."""
        return self.owner("criterion").sample_losses(ctx, logits, labels)

    def mix(self, ctx: Context, batch: Batch) -> Batch:
        """Return the batch as the owner of ``mix`` mixes it."""
        return self.owner("mix").mix(ctx, batch)

    def class_weights(self, ctx: Context) -> Tensor | None:
        """Return the product of all class weights, shape (C,), or None if there are none."""
        product: Tensor | None = None
        for method in self.methods:
            weights = method.class_weights(ctx)
            if weights is not None:
                product = weights if product is None else product * weights
        return product

    @property
    def evaluation_only(self) -> bool:
        """Whether the stage changes predictions only."""
        acting = [method for method in self._classes if not passive(method)]
        return bool(acting) and all(evaluation_only(method) for method in acting)

    @property
    def trains(self) -> bool:
        """Whether the stage takes gradient steps; one that only watches stands beside the base method."""
        acting = [method for method in self.methods if not passive(type(method))]
        return self.stage == 1 or not acting or any(method.trains and not evaluation_only(type(method)) for method in acting)

    @property
    def inputs(self) -> Literal["images", "features"]:
        """What the stage trains on."""
        if self.stage == 1 or self.backbone != "frozen":
            return "images"
        return cast(Literal["images", "features"], self._agreed("inputs", "features"))

    @property
    def backbone(self) -> Literal["frozen", "drifting", "tuned", "fresh"]:
        """What happens to the backbone in this stage."""
        if self.stage == 1:
            return "tuned"
        return cast(Literal["frozen", "drifting", "tuned", "fresh"], self._agreed("backbone", "frozen"))

    @property
    def tunes_backbone(self) -> bool:
        """Whether the backbone has gradients."""
        return self.backbone in ("tuned", "fresh")

    @property
    def ranks_as(self) -> int:
        """The stage whose budget, rates and schedule hold: 1 where a backbone is trained anew, whatever stands below."""
        return 1 if self.backbone == "fresh" else self.stage

    @property
    def reduction(self) -> Literal["mean", "sum"]:
        """How the losses of a global batch become one."""
        return cast(Literal["mean", "sum"], self._agreed("reduction", "mean"))

    def _agreed(self, attribute: str, default: str) -> str:
        wishes = {getattr(method, attribute): method.name for method in self.methods if getattr(method, attribute) is not None}
        if len(wishes) > 1:
            told = " and ".join(f"{name!r} {wish}" for wish, name in wishes.items())
            raise UserError(f"methods of one stack must agree on {attribute}, got {told}")
        return next(iter(wishes), default)

    def protocol_overrides(self) -> dict[str, Any]:
        """Return the joined protocol overrides.

        Raises:
            UserError: If two methods set one field differently.
        """
        joined: dict[str, Any] = {}
        for method in self.methods:
            for field, value in method.protocol_overrides().items():
                if joined.setdefault(field, value) != value:
                    raise UserError(f"two methods of one stack set {field} differently: {joined[field]} and {value}")
        return joined
