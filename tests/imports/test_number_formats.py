"""Test that numbers and texts are read as spreadsheet programs show them."""

import pytest

from api.imports.number_formats import show_number, show_text, shows_value


@pytest.mark.parametrize(
    ("value", "number_format", "shown"),
    [
        (3, '"BUG-"000', "BUG-003"),
        (3, "\\B\\U\\G\\-000", "BUG-003"),
        (4, "000-000", "000-004"),
        (1234567, "000-000", "1234-567"),
        (1.1, "0.00", "1.10"),
        (7, "000000", "000007"),
        (7, "General", "7"),
        (7, '"第"General"号"', "第7号"),
        (0, "000", "000"),
        (0.5, "0.0", "0.5"),
        (0.5, "#.0", ".5"),
        (12, "0.0#", "12.0"),
        (1234567, "#,##0", "1,234,567"),
        (1234.5, "¥#,##0.00", "¥1,234.50"),
        (1234.5, "[$¥-804]#,##0.00", "¥1,234.50"),
        (0.875, "0.0%", "87.5%"),
        (-5, "0", "-5"),
        (-5, "0;(0)", "(5)"),
        (-5, '0;[Red]"-"0', "-5"),
        (0, '0;-0;"无"0', "无0"),
        (5, "0;-0;;@", "5"),
        (7, "0_);(0)", "7 "),
        (360703198001, "General", "360703198001"),
        (0.1 + 0.2, "General", "0.3"),
        (7, "@", "7"),
        (4, "000 000", "000 004"),
        (4, '000"号"', "004号"),
    ],
)
def test_a_number_is_shown_by_its_format(value: float, number_format: str, shown: str) -> None:
    assert show_number(value, number_format) == shown


@pytest.mark.parametrize(
    ("value", "number_format"),
    [
        (1.25, "0.0"),  # a digit is hidden
        (1.5, "0"),
        (1234, "0,"),  # thousands are hidden
        (5, ";;;"),
        (5, '"待定"'),
        (0, "0;-0;"),
        (0.5, "# ?/?"),
        (1200, "0.00E+00"),
        (12, "[DBNum1]General"),
        (12, "[>100]0;000"),
        (12, "[$-2000804]0"),
        (1 / 3, "General"),
    ],
)
def test_a_number_is_not_shown_if_its_format_hides_a_part_or_is_unknown(value: float, number_format: str) -> None:
    assert not show_number(value, number_format)


@pytest.mark.parametrize(
    ("value", "number_format", "expected"),
    [
        (25.8552, "General", True),
        (25.8552, "0.00", True),
        (25.8552, '0.0000"°"', True),
        (25.8552, "#,##0.00", True),
        (-25.8552, "0.00", True),
        (-25.8552, "0.00;0.00", False),
        (0.95, "0%", False),
        (95000, "0,", False),
        (95, ";;;", False),
        (95, '"待定"', False),
    ],
)
def test_a_percentage_or_a_hidden_number_is_not_the_value_that_people_see(
    value: float, number_format: str, *, expected: bool
) -> None:
    assert shows_value(value, number_format) is expected


@pytest.mark.parametrize(
    ("text", "number_format", "shown"),
    [
        ("003", "General", "003"),
        ("003", "@", "003"),
        ("003", "0.00", "003"),
        ("003", '"BUG-"@', "BUG-003"),
        ("003", '0;-0;0;"BUG-"@', "BUG-003"),
        ("003", ";;;", None),
        ("003", '0;0;0;"text"', None),
    ],
)
def test_a_text_is_shown_by_its_format(text: str, number_format: str, shown: str | None) -> None:
    assert show_text(text, number_format) == shown
