"""``ltbench predict``: a model says of a test image what its record holds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ltbench.cli.main import main
from ltbench.results import records
from tests.support.own_images import write_digits
from tests.support.pretrained import train
from tests.support.trained_runs import EXPRESSIONS, TrainedRuns, assert_as_recorded, make_runs


def _predict(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["predict", *map(str, arguments), "--cpu"])
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_test_image_is_predicted_as_recorded(expression: str, trained_runs: TrainedRuns, digit_files: Path,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    record = trained_runs.record(expression)
    code, out, err = _predict(capsys, record, digit_files, "--cache", trained_runs.cache, "--json", "--top", "10")
    assert (code, "warning" in err) == (0, False)
    assert_as_recorded(json.loads(out), record)


def test_the_table_has_a_line_for_each_image(trained_runs: TrainedRuns, digit_files: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    record, names = trained_runs.record("ce/ncm"), [digit_files / "499.png", digit_files / "000.png"]
    _, out, _ = _predict(capsys, record, *names, "--cache", trained_runs.cache, "--json", "--top", "2")
    code, table, _ = _predict(capsys, record, *names, "--cache", trained_runs.cache, "--top", "2")
    lines = table.splitlines()
    assert code == 0 and lines[0].split() == ["image", "1", "2"] and len(lines) == 4
    for line, entry in zip(lines[2:], json.loads(out), strict=True):
        first, second = entry["classes"]
        assert line.split() == [entry["image"], first["name"], f"{100 * first['probability']:.1f}", "%", second["name"],
                                f"{100 * second['probability']:.1f}", "%"]


def test_classes_are_called_as_the_record_has_them(tmp_path: Path, trained_runs: TrainedRuns, digit_files: Path,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    """A dataset known by its lists alone calls its classes by number, where the folders of the run's images had words."""
    value = json.loads(trained_runs.record("ce").read_text())
    value["split"]["class_names"] = words = [f"digit-{k}" for k in range(10)]
    (tmp_path / "named.json").write_text(json.dumps(value))
    _, out, _ = _predict(capsys, tmp_path / "named.json", digit_files / "000.png", "--cache", trained_runs.cache, "--json")
    (entry,) = json.loads(out)
    assert [said["name"] for said in entry["classes"]] == [words[said["index"]] for said in entry["classes"]]


def test_a_mirrored_protocol_averages_both_views(tmp_path: Path, digit_files: Path, capsys: pytest.CaptureFixture[str],
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    from ltbench.data.digits import PROTOCOLS

    monkeypatch.setitem(PROTOCOLS, "quick", PROTOCOLS["quick"].replace(epochs=1, eval_flip=True))
    made = make_runs(tmp_path, "--methods", "ce")
    record = made.record("ce")
    assert json.loads(record.read_text())["protocol"]["eval_flip"] is True
    _, out, _ = _predict(capsys, record, digit_files, "--cache", made.cache, "--json", "--top", "10")
    assert_as_recorded(json.loads(out), record)


def test_own_images_are_found_where_one_says(tmp_path: Path, digits_batch: tuple[object, object],
                                             capsys: pytest.CaptureFixture[str]) -> None:
    """Photos are scaled and cut as the test images were; a fifth of them was tested on."""
    write_digits(tmp_path / "pets", digits_batch, per_class=10)
    typed = f"folder:{tmp_path / 'pets'}"
    made = make_runs(tmp_path, "--dataset", typed, "--protocol", "smoke", "--image-size", "32", "--backbone", "resnet20",
                     "--methods", "ce")
    (record,) = made.runs.glob("*.json")
    code, _, err = _predict(capsys, record, tmp_path / "pets", "--cache", made.cache)
    assert code == 2 and err.endswith("does not say where those images are: add --dataset folder:PATH\n")
    code, out, _ = _predict(capsys, record, tmp_path / "pets", "--cache", made.cache, "--dataset", typed, "--json")
    assert code == 0 and len(json.loads(out)) == 100
    given = sorted((entry["classes"][0]["index"], round(entry["classes"][0]["probability"], 5)) for entry in json.loads(out))
    predictions = records.load_predictions(record, records.read(record))
    assert predictions is not None and len(predictions) == 20
    tested = zip(predictions.argmax.tolist(), np.round(predictions.confidence.astype(float), 5).tolist(), strict=True)
    assert {(k, pytest.approx(p, abs=2e-5)) in given for k, p in tested} == {True}
    shutil.copytree(tmp_path / "pets", tmp_path / "elsewhere" / "pets", ignore=shutil.ignore_patterns("9"))
    other = f"folder:{tmp_path / 'elsewhere' / 'pets'}"
    code, _, err = _predict(capsys, record, tmp_path / "pets", "--cache", made.cache, "--dataset", other)
    assert code == 2 and "must be those that record" in err and err.count("\n") == 1


@pytest.mark.slow
def test_weights_from_elsewhere_are_named_again(tmp_path: Path, digit_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = tmp_path / "weights.safetensors"
    train("test_resnet", weights, steps=2, lr=1e-3)
    made = make_runs(tmp_path, "--backbone", "timm:test_resnet", "--weights", str(weights), "--protocol", "quick", "--epochs",
                     "1", "--methods", "ncm")
    record = made.record("ce/ncm")
    code, _, err = _predict(capsys, record, digit_files, "--cache", made.cache)
    assert code == 2 and err.endswith("and no record holds one; give the file with --weights FILE\n")
    _, out, _ = _predict(capsys, record, digit_files, "--cache", made.cache, "--weights", weights, "--json", "--top", "10")
    assert_as_recorded(json.loads(out), record)


METHOD = """
import ltbench

class Halved(ltbench.Method):
    \"\"\"Halve the loss.\"\"\"
    name, stages = "halved", frozenset({1})

    def criterion(self, logits, labels):
        return super().criterion(logits, labels) / 2
"""


def test_a_method_of_ones_own_comes_with_its_file(tmp_path: Path, digit_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "halved.py"
    file.write_text(METHOD)
    made = make_runs(tmp_path, "--plugin", str(file), "--protocol", "quick", "--epochs", "1", "--methods", "halved")
    (record,) = made.runs.glob("*.json")
    _, out, _ = _predict(capsys, record, digit_files, "--cache", made.cache, "--json", "--top", "10", "--plugin", file)
    assert_as_recorded(json.loads(out), record)
    code, _, err = _predict(capsys, record, digit_files, "--cache", made.cache)
    assert code == 2 and "cannot be built again (it was made with --plugin halved.py): unknown method 'halved'" in err


def test_a_stage_that_is_gone_is_said_with_the_way_back(trained_runs: TrainedRuns, digit_files: Path, tmp_path: Path,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    """The line's own command brings it back."""
    record, cache, image = trained_runs.record("ce/crt"), tmp_path / "cache", digit_files / "000.png"
    code, out, err = _predict(capsys, record, image, "--cache", cache)
    command = f"ltbench reproduce {record} --cache {cache}"
    assert (code, out) == (2, "")
    assert err == f"ltbench: stage 1 (ce) is not in {cache}; train it again: {command}, then name the record in reproduced\n"
    assert main([*command.split()[1:], "--out", str(tmp_path / "reproduced"), "--cpu"]) == 0
    again = tmp_path / "reproduced" / record.name
    code, out, _ = _predict(capsys, again, image, "--cache", cache)
    assert (code, out) == (0, _predict(capsys, record, image, "--cache", trained_runs.cache)[1])


def test_code_that_has_changed_is_said(trained_runs: TrainedRuns, digit_files: Path, tmp_path: Path,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    """The key of a record names the sources; the stage is found by its own key, as it was recorded."""
    record = tmp_path / "record.json"
    record.write_text(json.dumps({**json.loads(trained_runs.record("ce/crt").read_text()), "key": "ab" * 32}))
    options = [digit_files / "000.png", "--cache", trained_runs.cache]
    found = _predict(capsys, record, *options)
    assert found[2] == "warning: its methods, or the code below them, have changed since: predictions may differ\n"
    assert found[:2] == _predict(capsys, trained_runs.record("ce/crt"), *options)[:2]


def test_a_damaged_stage_is_left_as_it_is(trained_runs: TrainedRuns, digit_files: Path, tmp_path: Path,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    cache = shutil.copytree(trained_runs.cache, tmp_path / "cache")
    record = trained_runs.record("ce")
    key = json.loads(record.read_text())["stages"][0]["key"]
    kept = cache / "stages" / key[:2] / key / "engine.safetensors"
    kept.write_bytes(b"damaged")
    code, _, err = _predict(capsys, record, digit_files / "000.png", "--cache", cache)
    assert code == 2 and "is damaged" in err and err.count("\n") == 1
    assert kept.read_bytes() == b"damaged"  # nothing is trained in its place


@pytest.mark.parametrize(("changes", "words"), [
    ({"status": "diverged", "reason": "loss", "metrics": None, "per_class": None, "predictions": None, "cost": None},
     "must be of a run that completed, got one that diverged"),
    ({"expression": "nobody"}, "cannot be built again: unknown method 'nobody'"),
    ({"external": "ab" * 32}, "came from elsewhere: say where it is with --stage1"),
])
def test_what_cannot_be_built_is_refused(changes: dict[str, Any], words: str, trained_runs: TrainedRuns, digit_files: Path,
                                         tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = tmp_path / "record.json"
    record.write_text(json.dumps({**json.loads(trained_runs.record("ce").read_text()), **changes}))
    code, out, err = _predict(capsys, record, digit_files / "000.png", "--cache", trained_runs.cache)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_images_that_are_none_are_refused(trained_runs: TrainedRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record, cache = trained_runs.record("ce"), trained_runs.cache
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("no image")
    for name, words in (("missing.png", "No such file"), ("empty", "must hold an image, got none"),
                        ("text.png", "text.png' cannot be read")):
        code, out, err = _predict(capsys, record, tmp_path / name, "--cache", cache)
        assert (code, out, err.count("\n")) == (2, "", 1) and words in err
    code, _, err = _predict(capsys, record, tmp_path, "--cache", cache, "--top", "0")
    assert (code, err) == (2, "ltbench: --top must be >= 1, got 0\n")


def test_a_color_image_is_seen_in_gray(trained_runs: TrainedRuns, digit_files: Path, tmp_path: Path,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    """As Pillow turns colors into gray values; three equal channels are the value itself."""
    rng = np.random.default_rng(0)
    color = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    color.save(tmp_path / "color.png")
    color.convert("L").save(tmp_path / "gray.png")
    Image.open(digit_files / "007.png").convert("RGB").save(tmp_path / "three.png")
    images = (tmp_path / "color.png", tmp_path / "gray.png", tmp_path / "three.png", digit_files / "007.png")
    _, out, _ = _predict(capsys, trained_runs.record("ce"), *images, "--cache", trained_runs.cache, "--json")
    color_said, gray_said, three_said, seven_said = (entry["classes"] for entry in json.loads(out))
    assert color_said == gray_said and three_said == seven_said and color_said != three_said
