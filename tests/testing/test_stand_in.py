"""The stand-in for a GPU: its rules beside those of torch's FakeTensorMode, which holds no numbers, and what else it must do."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ltbench.testing.stand_in import DEVICE, stand_in

ROWS = torch.tensor([0, 2])
LABELS = torch.tensor([1, 0, 1])
VECTOR, SCALAR = torch.tensor([1.0, -2.0, 3.0]), torch.tensor(2.0)
MATRIX, PAIR = torch.ones(3, 3), torch.ones(2)


def put(target: Tensor, where: Any, value: Tensor) -> None:
    target[where] = value


# Operations and their operands; of each, every placement of the operands is tried.
CASES: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...]]] = {
    "sum": (torch.add, (VECTOR, VECTOR)),
    "sum with a scalar": (torch.add, (VECTOR, SCALAR)),
    "sum in place": (Tensor.add_, (VECTOR, VECTOR)),
    "product": (torch.matmul, (MATRIX, VECTOR)),
    "linear": (F.linear, (MATRIX, MATRIX, VECTOR)),
    "choice": (torch.where, (VECTOR > 0, VECTOR, VECTOR)),
    "choice of a scalar": (torch.where, (VECTOR > 0, VECTOR, SCALAR)),
    "fill": (torch.masked_fill, (VECTOR, VECTOR > 0, SCALAR)),
    "mix": (torch.lerp, (VECTOR, VECTOR, SCALAR)),
    "join": (lambda a, b: torch.cat([a, b]), (VECTOR, PAIR)),
    "entries": (lambda a, rows: a[rows], (VECTOR, ROWS)),
    "entries set": (put, (VECTOR, ROWS, PAIR)),
    "entries set to a scalar": (put, (VECTOR, ROWS, SCALAR)),
    "part set": (lambda a, value: put(a, slice(2), value), (VECTOR, PAIR)),
    "rows": (lambda a, rows: a.index_select(0, rows), (MATRIX, ROWS)),
    "picked": (lambda a, rows: a.gather(0, rows), (VECTOR, ROWS)),
    "added rows": (lambda a, rows, value: a.index_add(0, rows, value), (VECTOR, ROWS, PAIR)),
    "scattered": (lambda a, rows, value: a.scatter_add(0, rows, value), (VECTOR, ROWS, PAIR)),
    "copy": (Tensor.copy_, (VECTOR, VECTOR)),
    "loss": (F.cross_entropy, (MATRIX, LABELS)),
    "weighted loss": (lambda logits, labels, weight: F.cross_entropy(logits, labels, weight), (MATRIX, LABELS, VECTOR)),
    "batch norm": (lambda x, mean, var: F.batch_norm(x, mean, var), (MATRIX, VECTOR, VECTOR)),
    "distances": (torch.cdist, (MATRIX, MATRIX)),
    "einsum": (lambda a, b: torch.einsum("nd,d->n", a, b), (MATRIX, VECTOR)),
    "embedding": (F.embedding, (ROWS, MATRIX)),
    "lists": (lambda a, b: torch._foreach_add([a, a], [a, b]), (VECTOR, VECTOR)),
    "found": (torch.searchsorted, (VECTOR, VECTOR)),
    "converted": (lambda a, b: a.to(b) + b, (VECTOR, VECTOR)),
    "one hot": (lambda labels, x: F.one_hot(labels, 3) @ x.long(), (LABELS, MATRIX)),
    "new": (lambda a, b: a.new_zeros(3) + b, (VECTOR, VECTOR)),
    "like": (lambda a, b: torch.zeros_like(a) + b, (VECTOR, VECTOR)),
}


def outcome(run: Callable[..., Any], operands: tuple[Tensor, ...], places: tuple[str, ...]) -> str:
    """Return where the result is, or that there is none."""
    try:
        result = run(*(torch.empty_like(one).copy_(one).to(place) for one, place in zip(operands, places, strict=True)))
    except RuntimeError as error:
        assert "device" in str(error), error
        return "refused"
    result = result[0] if isinstance(result, (list, tuple)) else result
    return "done" if result is None else cast(str, result.device.type)


@pytest.mark.parametrize("case", CASES)
def test_devices_meet_where_torch_lets_them(case: str) -> None:
    run, operands = CASES[case]
    found, expected = {}, {}
    for places in itertools.product(("cuda", "cpu"), repeat=len(operands)):
        with stand_in():
            found[places] = outcome(run, operands, places)
        with FakeTensorMode(allow_non_fake_inputs=True):
            expected[places] = outcome(run, operands, places)
        if case.startswith("entries") and places[:2] == ("cpu", "cuda"):  # which only tensors with numbers refuse
            expected[places] = "refused"
    assert found == expected


def test_scalars_are_not_stacked_over_devices() -> None:
    """FakeTensorMode lets them; a GPU does not."""
    with stand_in(), pytest.raises(RuntimeError, match="same device, but found at least two devices, cuda:0 and cpu!"):
        torch.stack([SCALAR.to("cuda"), SCALAR])


def test_where_a_tensor_is() -> None:
    with stand_in() as device:
        there = VECTOR.to("cuda")
        assert there.device == device == torch.zeros(2, device="cuda").device and there.is_cuda and not there.is_cpu
        assert there.get_device() == 0 and VECTOR.device.type == "cpu"
        for same in (there[1:], there.view(3, 1), there.detach(), there.data, copy.deepcopy(there), there.new_tensor([1]),
                     torch.rand_like(there), there > 0, there.topk(2).indices, next(iter(there)), there.new_zeros(1)):
            assert same.device == device
        for here in (there.cpu(), torch.tensor([there.sum()]), torch.zeros(1), VECTOR.new_tensor(1), there.to("cpu", torch.int)):
            assert here.device.type == "cpu"
    assert torch.equal(there, VECTOR)


def test_what_is_there_already_is_not_copied_and_what_is_moved_is() -> None:
    with stand_in():
        there = VECTOR.to("cuda")
        assert there.to("cuda") is there and there.cuda() is there and VECTOR.cpu() is VECTOR
        back = there.cpu()
        there.zero_()
        assert torch.equal(back, VECTOR) and VECTOR.tolist() == [1.0, -2.0, 3.0]


def test_a_module_moves_with_its_parameters() -> None:
    module = nn.BatchNorm1d(3)
    weight = module.weight
    with stand_in() as device:
        assert module.to(device).weight is weight
        assert {value.device for value in module.state_dict().values()} == {device}
        module.load_state_dict(nn.BatchNorm1d(3).state_dict())
        assert {value.device for value in copy.deepcopy(module).state_dict().values()} == {device}


@pytest.mark.parametrize("read", [lambda x: x.numpy(), np.asarray, lambda x: np.sqrt(x), lambda x: np.add(x, 1)])
def test_numpy_reads_nothing_there(read: Callable[[Tensor], object]) -> None:
    with stand_in(), pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        read(VECTOR.to("cuda"))


def test_a_generator_draws_where_it_is() -> None:
    with stand_in() as device:
        there, here = torch.Generator(device), torch.Generator()
        assert there.device == device and torch.randn(2, device=device, generator=there).is_cuda
        assert torch.randperm(3, generator=here).device.type == "cpu"
        for draw in (lambda: torch.randperm(3, device=device, generator=here),
                     lambda: torch.empty(2, device=device).normal_(generator=here),
                     lambda: torch.multinomial(MATRIX.to(device), 1, generator=here)):
            with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator but found 'cpu'"):
                draw()  # type: ignore[no-untyped-call]


class Scaled(torch.autograd.Function):
    """Scale by a tensor, and go back through one that may be elsewhere."""

    places: list[str] = []
    back = VECTOR

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(scale)
        return x * scale, x + scale

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        Scaled.places += [tensor.device.type for tensor in (*gradients, *ctx.saved_tensors)]
        return gradients[0] * Scaled.back, None


def test_the_backward_pass_is_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand_in() as device:
        monkeypatch.setattr(Scaled, "back", VECTOR.to(device))
        monkeypatch.setattr(Scaled, "places", [])
        hooked: list[str] = []
        x = torch.ones(3, device=device, requires_grad=True)
        y = x.exp()
        y.register_hook(lambda gradient: hooked.append(gradient.device.type))  # type: ignore[no-untyped-call]
        Scaled.apply(y, VECTOR.to(device))[0].sum().backward()
        assert x.grad is not None and x.grad.is_cuda
        assert torch.allclose(x.grad.cpu(), torch.e * VECTOR)
        assert torch.autograd.grad(x.square().sum(), x)[0].is_cuda
        assert Scaled.places == ["cuda"] * 3 and hooked == ["cuda"]


def test_a_backward_pass_of_ones_own_must_not_mix_devices() -> None:
    with stand_in() as device:
        x = torch.ones(3, device=device, requires_grad=True)
        loss = Scaled.apply(x, VECTOR.to(device))[0].sum()
        with pytest.raises(RuntimeError, match="found at least two devices"):
            loss.backward()


def test_gradients_come_back_from_the_stand_in() -> None:
    x = torch.ones(3, requires_grad=True)
    with stand_in() as device:
        (x.to(device).square() * VECTOR.to(device)).sum().backward()  # type: ignore[no-untyped-call]
        assert x.grad is not None and x.grad.device.type == "cpu" and x.grad.tolist() == [2.0, -4.0, 6.0]


def test_afterwards_all_is_as_before() -> None:
    before = torch.Generator, vars(torch.autograd)["_engine_run_backward"]
    with pytest.raises(KeyError), stand_in():
        there = VECTOR.to(DEVICE)
        raise KeyError
    assert (torch.Generator, vars(torch.autograd)["_engine_run_backward"]) == before
    assert there.device.type == "cpu" and (there + VECTOR).tolist() == [2.0, -4.0, 6.0]
