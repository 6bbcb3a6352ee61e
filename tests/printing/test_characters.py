"""Test which characters are printed, and how the others are told."""

from pathlib import Path

import pytest
from pylopdf_fonts_zh_cn import sans_path, serif_path

from storage.printing.characters import Printable


@pytest.mark.parametrize(
    ("text", "printed", "missing"),
    [
        ("窗口无人在岗，群众等候；“马上”", "窗口无人在岗，群众等候；“马上”", ""),
        ("龘䶮𰻝 Ω é ß Ж かな", "龘䶮𰻝 Ω é ß Ж かな", ""),
        ("𠮷 与 🙂", "〓 与 〓", "𠮷🙂"),
        ("مرحبا", "〓〓〓〓〓", "مرحبا"),
        ("甲\u202e乙\u200b\0", "甲〓乙〓〓", "\u202e\u200b\0"),
        ("☎\ufe0f葛\U000e0100", "☎葛", ""),
        ("一\r\n二\u2028三\r四\n\n五\t六", "一\n二\n三\n四\n\n五 六", ""),
        ("", "", ""),
    ],
    ids=["Chinese", "rare", "no glyph", "from right to left", "invisible", "variations", "lines", "empty"],
)
def test_a_character_without_a_glyph_is_replaced(text: str, printed: str, missing: str) -> None:
    printable = Printable(sans_path())
    assert printable.text(text) == printed
    assert printable.missing == set(missing)


def test_each_font_has_its_own_characters(tmp_path: Path) -> None:
    sans, serif = Printable(sans_path()), Printable(serif_path())
    assert sans.text("公文") == serif.text("公文") == "公文"
    broken = tmp_path / "broken.otf"
    broken.write_bytes(b"OTTO\0\1" + bytes(6) + b"cmap" + bytes(4) + (28).to_bytes(4) + bytes([0, 0, 0, 4]) + bytes(4))
    with pytest.raises(ValueError, match=r"broken\.otf has no table for all of Unicode"):
        Printable(broken)
