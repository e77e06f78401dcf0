from __future__ import annotations

import hashlib
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from ltbench.data.digits import DigitsLT
from ltbench.errors import UserError
from ltbench.method.class_files import words_of
from ltbench.method.values import Facts
from ltbench.testing.kit import check_method
from ltbench.testing.scene import Scene, installed, scratch
from ltbench_hyperspherical.word2vec import Word2VecPrototypes
from ltbench_hyperspherical.word_vectors import read_class_vectors

VECTORS = b"6 2\nmaple 3 4\ntree 5 0\ncat 0 2\nthe 1 1\npine_tree 0 -1\ncat 9 9\n"
NAMES = ("maple_tree", "Cat", "pine_tree")
# What stands in a stranger's file: the method with his vectors for defaults.
PRESET = '''
import ltbench

@ltbench.hookimpl
def ltbench_methods():
    return [ltbench.MethodSpec("digit_words", "ltbench_hyperspherical.word2vec:Word2VecPrototypes", "on digits", frozenset({{1}}),
                               "Mettes et al., 2019", defaults={{"vectors_file": "digits.txt", "vectors_sha256": "{sha256}"}})]
'''


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_bytes(VECTORS)
    return tmp_path


def sha256(content: bytes = VECTORS) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def test_vectors_by_hand() -> None:
    # (3, 4) and (5, 0) have the mean (4, 2); a name that stands as a whole is not taken apart; the first of two lines counts.
    expected = torch.tensor([[2 / math.sqrt(5), 1 / math.sqrt(5)], [0.0, 1.0], [0.0, -1.0]])
    torch.testing.assert_close(read_class_vectors("words.txt", sha256(), NAMES), expected)
    (Path("plain.txt")).write_bytes(VECTORS.partition(b"\n")[2])  # without a header
    torch.testing.assert_close(read_class_vectors("plain.txt", sha256(VECTORS.partition(b"\n")[2]), NAMES), expected)


def test_words_of_a_name() -> None:
    assert words_of("Maple_tree") == ("maple", "tree") and words_of("t-shirt, red") == ("t", "shirt", "red")


def test_loss_by_a_slow_loop_is_smallest_on_the_class_vector() -> None:
    method = Word2VecPrototypes(Facts(torch.tensor([5, 3, 2]), 4, 1, NAMES), vectors_file="words.txt", vectors_sha256=sha256())
    features, labels = torch.randn(6, 2), torch.tensor([0, 1, 2, 0, 1, 2])
    vectors = read_class_vectors("words.txt", sha256(), NAMES)
    expected = [(1 - float(F.cosine_similarity(features[i], vectors[labels[i]], dim=0))) ** 2 for i in range(6)]
    cosines = F.normalize(features, dim=1) @ vectors.T
    torch.testing.assert_close(method.criterion(cosines, labels), torch.tensor(expected))
    assert float(method.criterion(vectors @ vectors.T, torch.arange(3)).abs().max()) < 1e-12


@pytest.mark.parametrize(("name", "digits", "names", "message"), [
    ("", "", NAMES, "vectors_file must name a text file of word vectors, got none"),
    ("none.txt", sha256(), NAMES, "vectors_file must be a file that can be read, got none.txt: No such file or directory"),
    ("/words.txt", sha256(), NAMES, "vectors_file must be below the folder that ltbench is run in, got /words.txt"),
    ("words.txt", "0" * 16, NAMES, f"vectors_sha256 must be {sha256()} .or more of it. for words.txt, got 0000000000000000"),
    ("words.txt", sha256(), ("cat", "maple_dog", "the sun", *map(str, range(5))),
     "vectors_file must have a vector for every class, words.txt has none for 'maple_dog', 'the sun', '0', '1', '2' and 2 more"),
])
def test_refuses_and_names_what_is_missing(name: str, digits: str, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_class_vectors(name, digits, names)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("line", "message"), [
    (b"cat 1 x", "line 1 of bad.txt must hold a word and two or more numbers, not all of them 0"),
    (b"cat 0 0", "line 1 of bad.txt must hold"), (b"cat 1 nan", "line 1 of bad.txt must hold"),
    (b"cat 1 2\ndog 1 2 3", "vectors_file must hold vectors of one length, got bad.txt")])
def test_refuses_a_damaged_file(line: bytes, message: str) -> None:
    Path("bad.txt").write_bytes(line)
    with pytest.raises(UserError, match=message):
        read_class_vectors("bad.txt", sha256(line), ("cat", "dog"))


def test_without_a_file_nothing_is_trained() -> None:
    with scratch() as folder, pytest.raises(UserError, match="vectors_file must name a text file of word vectors, got none"):
        Scene(installed()).train("word2vec", folder)


@pytest.mark.slow
def test_with_a_file_it_passes_the_kit(place: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    names = [*DigitsLT.class_names, *map(str, range(10, 8142))]  # those of the kit's crowd of classes, too
    content = "".join(f"{name} {' '.join(f'{x:.4f}' for x in torch.randn(12, generator=generator).tolist())}\n"
                      for name in names).encode()
    (place / "digits.txt").write_bytes(content)
    (place / "preset.py").write_text(PRESET.format(sha256=sha256(content)))
    results = check_method("digit_words", plugins=(str(place / "preset.py"),))
    assert [str(result) for result in results if not result.ok] == []
    assert len(results) > 15
