from __future__ import annotations

import pytest

from ltbench.data.beside import say_not_read


@pytest.mark.parametrize(("read", "tested"), [(("train",), ": a fifth of each class is set apart"),
                                              (("train", "val"), ": the validation part is tested on"),
                                              (("train", "test", "val"), "")])
def test_what_is_tested_on_instead_is_said(read: tuple[str, ...], tested: str, capsys: pytest.CaptureFixture[str]) -> None:
    say_not_read("more", "train", "it is another folder", read)
    assert capsys.readouterr().err == f"warning: 'more' beside 'train' is not read, for it is another folder{tested}\n"
