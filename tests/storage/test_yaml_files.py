"""Files of settings: plain mappings, or one message."""

from __future__ import annotations

import pytest

from lsn_eval.errors import LsnError
from lsn_eval.storage.yaml_files import read_settings


def test_settings_are_read_as_they_stand(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("model: m\nlist: [a, 1]\npairs: {x: false}\n1: 2.5\n")
    read = read_settings(file, LsnError, "model: m")
    assert read == {"model": "m", "list": ["a", 1], "pairs": {"x": False}, 1: 2.5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- model\n", "holds no settings; lines such as 'model: m' were expected"),
        ("", "holds no settings"),
        ("a: [", "is no YAML"),
        ("\x00", "is no YAML"),
        ("? [a]\n: 1", "is no YAML"),
        ("model: 2001-99-99", "is no YAML"),
        ('model: "\\uD800"', "is no YAML"),
        ("a: " + "[" * 2000, "nested too deeply|is no YAML"),
        ("a: &x [1]\nb: *x", "YAML alias"),
        ("a: !!python/object/apply:os.getcwd []", "is no YAML"),
        ("a: " + "x" * (1 << 20), "is larger than"),
    ],
)
def test_what_is_no_file_of_settings(tmp_path, text, said):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(LsnError, match=f"a.yaml.*({said})"):
        read_settings(file, LsnError, "model: m")
