"""Test the short suite that runs with every Python version."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_short_suite_for_every_python_names_tests_that_exist() -> None:
    listed = re.search(r"^tests=\((.*?)\)", (ROOT / ".ci" / "pythons").read_text(), re.DOTALL | re.MULTILINE)
    assert listed
    for name in listed[1].split():
        path, _, test = name.partition("::")
        assert (ROOT / path).exists(), name
        assert not test or f"def {test}(" in (ROOT / path).read_text(), name
