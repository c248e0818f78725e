"""Pass rates of language confusion against a slow count of the published definition."""

from __future__ import annotations

import json
import string

import pytest
from builders.commands import invoke, printed

from lsn_eval.language_scores import LanguageScoreError, load_identifier
from lsn_eval.language_scores.confusion import WITH_WORDS, confusion, words_digest

GERMAN = "Das Wetter ist heute schön und wir gehen alle zusammen in den Wald."
ENGLISH = "The weather is nice today and all of us go to the forest together."
RUSSIAN = "Сегодня хорошая погода и мы все вместе идём гулять в лес."
CHINESE = "今天天气很好我们一起去森林里散步然后回家吃饭"
WORDS = ["weather", "Forest", "the", "nice"]
TEXTS = [
    GERMAN, ENGLISH, RUSSIAN, f"{GERMAN}\n{ENGLISH}", f"{GERMAN}\nKurz.\n\n{GERMAN}", "Kurz.", "",
    f"{GERMAN}\nQ: {ENGLISH}", f"  \n{ENGLISH}\n{RUSSIAN}", f"{RUSSIAN[:-1]} the Forest (nice)!",
    f"{RUSSIAN} weather", f"{RUSSIAN} weather-", f"{RUSSIAN}\nnice weather", "a—b—c—d—e f", "xx qq zz kk ww vv",
    f"{RUSSIAN} the", f"{RUSSIAN} Forest", f"{GERMAN}\nThe cat is here", f"{RUSSIAN}\nThe cat is here",
    "، ، ، ، ، اليوم الطقس جميل جدا ونحن ذاهبون",
]  # fmt: skip


@pytest.fixture
def words(tmp_path):
    (tmp_path / "words").write_text("\n".join(WORDS) + "\n")
    return tmp_path / "words"


def slow_rates(texts, language):
    """Shares of texts that pass by lines, and of those that pass by words; and how many count."""
    model = load_identifier().model
    skipped = wrong_lines = wrong_words = 0
    for text in texts:
        cleaned = ""
        for character in text.split("\nQ:")[0].strip():
            if character == "—":
                cleaned += " "
            elif character not in string.punctuation + "،":
                cleaned += character
        lines = [line for line in cleaned.split("\n") if len(line.split()) > 4]
        if not lines:
            skipped += 1
            continue
        labels = []
        for line in lines:
            (label,), (probability,) = model.predict(line)
            labels.append(label if probability > 0.3 else "unknown")
        if any(label != f"__label__{language}" for label in labels):
            wrong_lines += 1
        elif any(word in ("weather", "nice") for line in lines for word in line.split()):
            wrong_words += 1
    count = len(texts) - skipped
    return 1 - wrong_lines / count, 1 - wrong_words / max(1, count - wrong_lines), count


@pytest.mark.parametrize("language", ["de", "en", "ru", "ar"])
def test_pass_rates_equal_a_slow_count(language, words, tmp_path):
    line, word, count = slow_rates(TEXTS, language)
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in TEXTS))
    said = printed(
        "score", tmp_path / "texts.jsonl", "--language", language, "--confusion",
        "--english-words", words, "--json",
    )  # fmt: skip
    (entry,) = json.loads(said)["scored"]
    assert entry["line_pass_rate"] == pytest.approx(line, abs=1e-12)
    assert entry["with_lines"] == count / len(TEXTS)
    assert entry["word_pass_rate"] == (
        pytest.approx(word, abs=1e-12) if language in WITH_WORDS else None
    )
    assert f"segmenter:words|english_words:{words_digest(words)}|v" in entry["signature"]
    (tmp_path / "of").mkdir()
    (tmp_path / "of" / words.name).write_text("other\n")
    assert words_digest(tmp_path / "of" / words.name) != words_digest(words)
    low, high = entry["intervals"]["line_pass_rate"]
    assert low <= line <= high
    found = [confusion(text, language, words=words) for text in TEXTS]
    assert sum(one.line_pass[1] for one in found) == count


def test_without_the_option_nothing_is_counted_and_without_words_no_word_is(tmp_path):
    (tmp_path / "texts.txt").write_text(RUSSIAN)
    plain = printed("score", tmp_path / "texts.txt", "--language", "ru")
    assert "pass rate" not in plain
    shown = printed("score", tmp_path / "texts.txt", "--language", "ru", "--confusion")
    assert "line pass rate" in shown
    assert confusion(RUSSIAN, "ru").word_pass is None


def test_characters_stand_for_words_where_that_is_asked_for(words):
    text = f"{CHINESE}\n今天\nnice"
    found = confusion(text, "zh", words=words, segmenter="characters")
    assert (found.lines, found.wrong, found.english) == (1, 0, False)
    assert confusion(f"{CHINESE}nice", "zh", words=words, segmenter="characters").english


@pytest.mark.parametrize(("language", "package"), [("zh", "jieba"), ("ja", "fugashi")])
def test_published_words_need_their_packages(language, package, words, tmp_path):
    try:
        __import__(package)
    except ImportError:
        with pytest.raises(LanguageScoreError, match=f"{package}.*segmenter=characters"):
            confusion("", language)
        return
    assert confusion("我喜欢吃苹果和香蕉 weather", "zh", words=words).lines == 1
    assert confusion("私は毎朝、公園を散歩します。", "ja", words=words).lines == 1


def test_what_cannot_be_counted_is_refused(tmp_path):
    (tmp_path / "none").write_text("A\nof\n")
    with pytest.raises(LanguageScoreError, match="has no words"):
        confusion("", "ru", words=tmp_path / "none")
    with pytest.raises(LanguageScoreError, match="none of words, characters"):
        confusion("", "de", segmenter="letters")
    assert invoke("score", tmp_path / "none", "--confusion").exit_code == 2
    words = invoke("score", tmp_path / "none", "--english-words", "words")
    assert "give --confusion, too" in " ".join(words.output.split())
