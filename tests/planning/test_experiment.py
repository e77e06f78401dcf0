"""An experiment told in one file: what it says as requests, what is refused, and its schema as an editor reads it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import strategies as st

from ltbench.errors import UserError
from ltbench.planning.experiment import Experiment, Matrix, checked, read_experiment, requests_of, with_changes
from ltbench.planning.experiment_text import schema_text, to_toml
from ltbench.planning.request import How, Request, Terms, What
from ltbench.terms.shots import Splits
from tests.support.properties import amounts, holds

ROOT = Path(__file__).resolve().parents[2]
BOARDS = sorted(ROOT.glob("leaderboards/*/board.toml"))
PUBLISHED = ROOT / "docs" / "experiment.schema.json"
LEAST: dict[str, Any] = {"methods": ["ce"], "datasets": ["digits-lt"], "seeds": [0]}
EVERYTHING = """
out = "elsewhere"
plugin = ["my_la.py"]
[[matrix]]
methods = ["ce", "la(tau=1.5)"]
datasets = ["digits-lt"]
seeds = [0, 1]
split_seeds = [2]
imbalance_ratio = 10
imbalance = "step"
set.la.tau = 2
set.ldam.mu = "0.5"
protocol = "smoke"
precision = "bf16"
splits = [50, 10]
test_noise = 1
measure_every = 0.5
epochs = 3
batch_size = 8
lr = 1
weight_decay = 0
optimizer = "sgd"
schedule = "cosine"
backbone = "resnet20"
image_size = 32
layer_decay = 0.5
stage1 = "first.safetensors"
unreadable = "skip"
accumulate = 2
sync_batch_norm = true
compile = true
keep = "nothing"
"""


def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def problem(content: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        checked(content, "'x.toml'")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_key_reaches_the_request(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(EVERYTHING, encoding="utf-8")
    (request,) = requests_of(read_experiment(tmp_path / "x.toml"), "x", How(cpu=True))
    by_hand = {"epochs": 3, "batch_size": 8, "lr": 1.0, "weight_decay": 0.0, "optimizer": "sgd", "schedule": "cosine",
               "backbone": "resnet20", "image_size": 32, "layer_decay": 0.5}
    assert request == Request(
        What(("ce", "la(tau=1.5)"), ("digits-lt",), 10, "step", (0, 1), (2,), {"la": {"tau": 2}, "ldam": {"mu": "0.5"}}),
        Terms("smoke", by_hand=by_hand, test_noise=1.0, precision="bf16", measure_every=0.5,
              splits=Splits(50, 10)),
        How(out=Path("elsewhere"), unreadable="skip", stage1=Path("first.safetensors"), accumulation=2, sync_batch_norm=True,
            compiles=True, keep="nothing", cpu=True), (Path("my_la.py"),))
    exclusive = {"track", "paper", "hold_out", "weights", "init", "tune"}
    assert {*Matrix.model_fields} - {*tomllib.loads(EVERYTHING)["matrix"][0]} == exclusive


def test_what_a_file_leaves_open_is_the_default_of_a_request() -> None:
    assert requests_of(checked({"matrix": [LEAST]}, "x"), "x") == [Request(What(("ce",), ("digits-lt",), seeds=(0,)))]


@pytest.mark.parametrize(("changes", "said"), [
    ({"sedes": [0]}, "unknown key 'sedes' in matrix 1 of 'x.toml'; did you mean 'seeds'? Known: methods, datasets, seeds, "),
    ({"dataset": "digits-lt"}, "unknown key 'dataset' in matrix 1 of 'x.toml'; did you mean 'datasets'? Known: "),
    ({"jobs": 2}, "unknown key 'jobs' in matrix 1 of 'x.toml'; Known: "),
    ({"seeds": [True]}, "seeds[0] of matrix 1 of 'x.toml' must be a whole number, got True"),
    ({"seeds": [0, -1]}, "seeds[1] of matrix 1 of 'x.toml' must be >= 0, got -1"),
    ({"seeds": 0}, "seeds of matrix 1 of 'x.toml' must be a list, got 0"),
    ({"methods": []}, "methods of matrix 1 of 'x.toml' must be a list that is not empty, got []"),
    ({"methods": [" "]}, "methods[0] of matrix 1 of 'x.toml' must be a text that is not empty, got ' '"),
    ({"track": "papers"}, "track of matrix 1 of 'x.toml' must be one of common, paper, got 'papers'"),
    ({"lr": "fast"}, "lr of matrix 1 of 'x.toml' must be a number, got 'fast'"),
    ({"epochs": 0}, "epochs of matrix 1 of 'x.toml' must be > 0, got 0"),
    ({"splits": [5]}, "splits of matrix 1 of 'x.toml' must be a list of two, got [5]"),
    ({"epochs": 2.5}, "epochs of matrix 1 of 'x.toml' must be a whole number, got 2.5"),
    ({"test_noise": float("nan")}, "test_noise of matrix 1 of 'x.toml' must be"),
    ({"hold_out": 1}, "hold_out of matrix 1 of 'x.toml' must be true or false, got 1"),
    ({"set": {"la.tau": 1}}, "set of matrix 1 of 'x.toml' must be values by method and option, such as set.la.tau = 0.5, got 1"),
])
def test_mistakes_in_a_matrix(changes: dict[str, Any], said: str) -> None:
    assert problem({"matrix": [{**LEAST, **changes}]}).startswith(said)
    assert list(validator().iter_errors({"matrix": [{**LEAST, **changes}]})) or changes.keys() & {"test_noise"}


@pytest.mark.parametrize(("content", "said"), [
    ({"matrx": [LEAST]}, "unknown key 'matrx' in 'x.toml'; did you mean 'matrix'? Known: title, tolerance, out, plugin, matrix"),
    ({"title": "x"}, "'x.toml' must hold 'matrix', as at least one [[matrix]]"),
    ({"matrix": []}, "matrix of 'x.toml' must be a list that is not empty, got []"),
    ({"matrix": LEAST}, "matrix of 'x.toml' must be a list, got "),
    ({"matrix": [LEAST, {}]}, "matrix 2 of 'x.toml' must hold 'methods'"),
    ({"matrix": [LEAST], "tolerance": 0}, "tolerance of 'x.toml' must be > 0, got 0"),
    ({"matrix": [LEAST], "title": ""}, "title of 'x.toml' must be a text that is not empty, got ''"),
])
def test_mistakes_above(content: dict[str, Any], said: str) -> None:
    assert problem(content).startswith(said)
    assert list(validator().iter_errors(content))


@pytest.mark.parametrize(("changes", "said"), [
    ({"paper": "lncm"}, "matrix 1 of x: --paper needs --track paper"),
    ({"track": "paper", "protocol": "quick"}, "matrix 1 of x: --track paper takes each paper's own settings; leave out"),
    ({"splits": [10, 20]}, "matrix 1 of x: --splits must be two whole numbers"),
    ({"weights": "timm", "stage1": "a"}, "matrix 1 of x: --stage1 and --weights both give the first stage"),
])
def test_what_cannot_be_together(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        requests_of(checked({"matrix": [{**LEAST, **changes}]}, "x"), "x")
    assert str(caught.value).startswith(said)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    for content, said in ((None, "No such file"), (b"= 1", "Invalid"), (b"\xff", "utf-8")):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(UserError, match=f"x.toml' cannot be read: .*{said}"):
            read_experiment(file)


def test_changes_enter_every_matrix() -> None:
    two = checked({"matrix": [LEAST, {**LEAST, "methods": ["la"]}]}, "x")
    changed = with_changes(two, {"seeds": [5], "out": "there"}, "x")
    assert [one.seeds for one in changed.matrix] == [[5], [5]] and changed.out == "there"
    assert [one.methods for one in changed.matrix] == [["ce"], ["la"]]
    with pytest.raises(UserError, match="epochs of matrix 1 of x must be > 0"):
        with_changes(two, {"epochs": 0}, "x")


@pytest.mark.parametrize("file", BOARDS, ids=lambda file: file.parent.name)
def test_the_schema_takes_every_board_and_refuses_each_with_a_typo(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    content, check = tomllib.loads(text), validator()
    check.validate(content)
    assert (file.parent / text.splitlines()[0].removeprefix("#:schema ")).resolve() == PUBLISHED
    for name in content["matrix"][0]:
        typo = {**content, "matrix": [{f"{name}x" if key == name else key: value for key, value in content["matrix"][0].items()}]}
        assert list(check.iter_errors(typo)), name


def test_the_published_schema_is_that_of_the_model() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == schema_text(), f"ltbench config --schema > {PUBLISHED}"
    matrix = json.loads(schema_text())["$defs"]["Matrix"]
    assert matrix["properties"]["imbalance"]["enum"] == ["exp", "step"] and matrix["additionalProperties"] is False
    assert matrix["required"] == ["methods", "datasets", "seeds"]
    assert all(field["description"].endswith(".") for field in matrix["properties"].values())


@pytest.mark.parametrize("file", BOARDS, ids=lambda file: file.parent.name)
def test_what_is_written_reads_the_same(file: Path) -> None:
    experiment = read_experiment(file)
    assert checked(tomllib.loads(to_toml(experiment)), "x") == experiment
    assert max(map(len, to_toml(experiment).splitlines())) <= 120


SIGNS = st.characters(exclude_categories=["Cs"])


@amounts(100)
def test_any_text_survives(examples: int | None) -> None:
    def check(text: str, noise: float, options: dict[str, Any]) -> None:
        content = {"out": text, "matrix": [{**LEAST, "methods": [text] * 9, "test_noise": noise, "set": {text: options}}]}
        written = to_toml(checked(content, "x"))
        assert checked(tomllib.loads(written), "x").matrix[0].methods == [text] * 9
        if options:
            assert tomllib.loads(written)["matrix"][0]["set"] == {text: options}

    holds(examples, check, text=st.text(SIGNS, min_size=1).filter(str.strip), noise=st.floats(0, 100, allow_subnormal=False),
          options=st.dictionaries(st.text(SIGNS), st.booleans() | st.integers(-9, 9) | st.text("a\"'\\\n\x7f")))


def test_an_experiment_names_its_parts() -> None:
    assert list(Experiment.model_fields) == ["title", "tolerance", "out", "plugin", "matrix"]
