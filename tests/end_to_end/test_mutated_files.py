"""A few hundred of the mutated files that `scripts/fuzz_files.py` makes, others in every release."""

from __future__ import annotations

import fuzz_files
import fuzz_readers
import pytest

from lsn_eval.version import __version__


@pytest.mark.parametrize("seed", ["fixed", __version__])
def test_mutated_files_are_refused_or_read_as_they_stand(tmp_path, seed):
    counts, wrong = fuzz_files.fuzz(300, seed, tmp_path)
    assert wrong == []
    assert {kind for _, kind in counts} == {"refused", "accepted"}
    assert sum(counts.values()) == 300


def test_a_reader_that_takes_what_is_not_there_is_caught(tmp_path):
    """The second reading is no formality: a reader that loses a character is found out."""
    (sound,) = (reader for reader in fuzz_readers.readers() if reader.name == "texts.txt")
    path = tmp_path / "texts.txt"
    path.write_bytes(sound.content)
    assert fuzz_files.outcome(sound, path) == "accepted"
    careless = fuzz_readers.Reader(
        sound.name,
        sound.suffix,
        sound.content,
        lambda path: [text[1:] for text in sound.read(path)],
        sound.agrees,
    )
    assert "other content" in fuzz_files.outcome(careless, path)
