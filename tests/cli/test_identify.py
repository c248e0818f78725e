"""`lsn-eval identify`, `mask diff` and `mask random`, in process."""

from __future__ import annotations

import json
import re
from typing import Annotated

import pytest
import typer
from builders.commands import printed, refused
from builders.planted import LANGUAGES, planted_statistics
from typer.testing import CliRunner

from lsn_eval.cli.options import several
from lsn_eval.identification import IdentificationError
from lsn_eval.identification.grids import parse_sweep, swept_path
from lsn_eval.masks.mask import NeuronMask


@pytest.fixture(scope="module")
def stats_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("stats") / "stats.safetensors"
    planted_statistics()[0].save(path)
    return path


@pytest.mark.slow
def test_identify_writes_a_mask_and_prints_a_table_or_json(stats_file, tmp_path):
    out = tmp_path / "lape.safetensors"
    said = printed("identify", stats_file, "--method", "lape", "--top-rate", 0.03, "--out", out)
    mask = NeuronMask.load(out)
    planted = planted_statistics()[1]
    assert {name: mask.neurons(name).tolist() for name in mask.languages} == planted
    assert mask.statistics("de") == ("mean", "median", "p10", "p90", "max", "diffmean")
    assert mask.provenance["command"].startswith("lsn-eval")
    row = next(line for line in said.splitlines() if line.startswith("| de"))
    assert [cell.strip() for cell in row.split("|")][2] == "10"
    assert str(out) in said
    assert "warning" not in said
    said = printed("identify", stats_file, "--top-rate", "0.03", "--out", out, "--json", "--force")
    (described,) = json.loads(said)["masks"]
    assert described["neurons"] == dict.fromkeys(LANGUAGES, 10)
    assert described["controls"] == dict.fromkeys(LANGUAGES, 20)
    assert described["without_neurons"] == []
    assert described["digest"] == mask.digest


def test_a_language_left_without_neurons_is_reported(stats_file, tmp_path):
    out = tmp_path / "few.safetensors"
    said = printed("identify", stats_file, "--top-rate", "0.001", "--out", out)
    mask = NeuronMask.load(out)
    without = [name for name in LANGUAGES if not mask.count(name)]
    assert mask.languages == LANGUAGES
    assert len(without) == 2
    few = mask.method.parameters["too_few"]
    assert set(without) <= set(few)
    for name, remedy in few.items():
        count = f"only {mask.count(name)} neuron" if mask.count(name) else "no neurons"
        assert re.search(f"warning: {count}s? for {name}: {remedy}", said)


def test_controls_can_be_left_out(stats_file, tmp_path):
    out = tmp_path / "bare.safetensors"
    printed("identify", stats_file, "--out", out, "--controls", "0")
    assert NeuronMask.load(out).controls("de") == ()


def test_sweep_writes_one_mask_a_rate(stats_file, tmp_path):
    out = tmp_path / "lape.safetensors"
    printed(
        "identify", stats_file, "--sweep", "top_rate=0.01..0.03", "--out", out, "--controls", "1"
    )
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"lape.top_rate-{rate}.safetensors" for rate in ("0.01", "0.02", "0.03")]
    masks = [NeuronMask.load(tmp_path / name) for name in names]
    assert [sum(map(mask.count, LANGUAGES)) for mask in masks] == [10, 20, 30]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--method", "lap", "--top-rate", "0.1"), "lap has no parameter top_rate; it has hookpoi"),
        (("--hookpoint", "mlp.act", "--hookpoint", "mlp.up"), "or use average_precision"),
        (("--tuned", "de"), "LANGUAGE=CHECKPOINT"),
        (("--tuned", "=x"), "LANGUAGE=CHECKPOINT"),
        (("--tuned", "de="), "LANGUAGE=CHECKPOINT"),
        (("--tuned", "de=x", "--tuned", "de=y"), "names de twice, x and y; give one"),
        (("--method", "random", "--top-rate", "1", "--controls", "1"), "--controls 0"),
    ],
)
def test_arguments_that_do_not_fit(stats_file, tmp_path, arguments, message):
    out = tmp_path / "x.safetensors"
    assert message in refused("identify", stats_file, *arguments, "--out", out)


def test_output_folder_is_checked_before_any_work(tmp_path):
    out = tmp_path / "a" / "b.safetensors"
    assert "create it first" in refused("identify", "no file", "--out", out)


@pytest.mark.slow
def test_parameter_variation_needs_no_statistics(tmp_path):
    from builders.architectures import saved_model
    from builders.tuned import PLANTED, tune

    before = saved_model(tmp_path / "before", "llama")
    for name, neurons in PLANTED.items():
        tune(before, neurons).save_pretrained(tmp_path / name)
    printed(
        "identify", "--method", "parameter_variation", "--before", tmp_path / "before",
        "--tuned", f"de={tmp_path / 'de'}", "--tuned", f"fr={tmp_path / 'fr'}",
        "--top-rate", "0.1", "--out", tmp_path / "pv.safetensors",
    )  # fmt: skip
    mask = NeuronMask.load(tmp_path / "pv.safetensors")
    assert mask.languages == ("de", "fr")
    assert [1, 2] in mask.neurons("de").tolist()


@pytest.mark.parametrize(
    ("method", "text", "values"),
    [
        ("lape", "top_rate=0.01..0.10", [round(0.01 * n, 2) for n in range(1, 11)]),
        ("lape", "top-rate=0.1..0.3:0.1", [0.1, 0.2, 0.3]),
        ("lape", "filter_rate=0.9..0.95:0.02", [0.9, 0.92, 0.94]),
        ("average_precision", "neurons=200..600:200", [200, 400, 600]),
        ("random", "seed=1..3", [1, 2, 3]),
        ("lape", "top_rate=0.1", [0.1]),
        ("lape", "top_rate=0.01, 0.02,0.05", [0.01, 0.02, 0.05]),
        ("lape", "top_rate=0.01:0.03,0.02..0.04", [0.01, 0.02, 0.03, 0.04]),
        ("lape", "top_rate=0.001:0.01:x2", [0.001, 0.002, 0.004, 0.008]),
        ("lape", "top_rate=0.001..0.1:5log", [0.001, 0.003162, 0.01, 0.03162, 0.1]),
        ("average_precision", "neurons=2..32:x4", [2, 8, 32]),
    ],
)
def test_sweep_values(method, text, values):
    points = parse_sweep(method, text)
    assert [value for point in points for value in point.values()] == values
    assert all(type(value) is type(values[0]) for point in points for value in point.values())


@pytest.mark.parametrize(
    ("method", "text", "message"),
    [
        ("lape", "top_rate", "FROM..TO"),
        ("lape", "top_rate=0.1,", "FROM..TO"),
        ("lape", "top_rate=0.1:0.2:x1", "FACTOR must be above 1"),
        ("lape", "top_rate=0..0.2:x2", "FROM above 0"),
        ("lape", "top_rate=0.1..0.2:1log", "at least 2"),
        ("random", "seed=1..9:4log", "whole numbers"),
        ("random", "seed=0..9:x1.000000001", "above 0"),
        ("random", "seed=1..9:x1.000000001", "at most 1000"),
        ("lape", "top_rate=a..b", "FROM..TO"),
        ("lape", "top_rate=0.1.2..3", "FROM..TO"),
        ("lape", "top_rate=0.3..0.1", "not be below"),
        ("lape", "top_rate=0..0.1", "above 0"),
        ("lape", "hookpoint=1..2", "no number 'hookpoint'; it has top_rate"),
        ("lap", "top_rate=0.1..0.2", "it has min_probability"),
        ("random", "seed=0.5..2", "whole numbers"),
        ("lape", "top_rate=0.00001..1", "at most 1000"),
        ("lape", "activation_bar_rate=0.9..0.95:0.01", "swept and given"),
    ],
)
def test_sweep_errors(method, text, message):
    with pytest.raises(IdentificationError, match=message):
        parse_sweep(method, text, {"activation_bar_rate"})


def test_swept_names_keep_dots(tmp_path):
    path = swept_path(tmp_path / "llama-3.1.safetensors", {"top_rate": 0.02})
    assert path.name == "llama-3.1.top_rate-0.02.safetensors"


@pytest.mark.slow
def test_diff_and_random(stats_file, tmp_path):
    lape, other = tmp_path / "lape.safetensors", tmp_path / "random.safetensors"
    printed("identify", stats_file, "--top-rate", "0.03", "--out", lape)
    printed("mask", "random", "--like", lape, "--seed", "4", "--out", other)
    document = json.loads(printed("mask", "diff", lape, other, "--json"))
    assert [entry["shared"] for entry in document["languages"]] == [0, 0, 0]
    assert document["A"]["method"] == "lape"
    table = printed("mask", "diff", lape, other)
    row = next(line for line in table.splitlines() if line.startswith("| de"))
    assert row.split("|")[2].strip() == "all"
    assert [cell.strip() for cell in row.split("|")[3:-1]] == ["10", "10", "10", "10", "0", "0.000"]
    assert "the same neurons" in printed("mask", "diff", lape, lape)
    assert NeuronMask.load(other).statistics("de") != ()
    new = tmp_path / "new.safetensors"
    like = ("--like", lape, "--layers", "3")
    assert "--like takes" in refused("mask", "random", *like, "--out", new)
    assert "--like MASK, or" in refused("mask", "random", "--out", new)


@pytest.mark.parametrize(
    "languages", [["de,fr,nl"], ["de", "fr", "nl"], ["de, fr", "nl"]], ids=" ".join
)
def test_lists_are_repeated_or_written_with_commas_and_masks_replaced_on_demand(
    tmp_path, languages
):
    out = tmp_path / "m.safetensors"
    given = [word for text in languages for word in ("--languages", text)]
    given += ["--layers", 2, "--width", 100, "--out", out]
    printed("mask", "random", *given)
    written = out.read_bytes()
    assert NeuronMask.load(out).languages == ("de", "fr", "nl")
    again = *given, "--seed", 2
    assert "--force (force=True) to write over it" in refused("mask", "random", *again)
    assert out.read_bytes() == written
    printed("mask", "random", *again, "--force")
    assert out.read_bytes() != written


def test_a_comma_in_the_value_of_a_pair_is_part_of_it_and_an_empty_entry_is_refused():
    found = []
    shown = typer.Typer()

    @shown.command()
    def command(pair: Annotated[list[str] | None, several("Pairs", pairs=True)] = None) -> None:
        found.append(pair)

    arguments = ["--pair", "de=a,b.txt,fr=c/*.txt", "--pair", "nl=d"]
    assert CliRunner().invoke(shown, arguments).exit_code == 0
    assert found == [["de=a,b.txt", "fr=c/*.txt", "nl=d"]]
    assert CliRunner().invoke(shown, ["--pair", " "]).exit_code == 2


def test_masks_without_a_hookpoint_in_common(tmp_path):
    paths = [tmp_path / f"{at}.safetensors" for at in ("mlp.act", "mlp.up")]
    for path in paths:
        printed("mask", "random", "--languages", "de,fr", "--layers", "2", "--width", "100", "--out", path,
            "--hookpoint", path.stem)  # fmt: skip
    said = "no hookpoint is in both, so that no neuron can be: A is at mlp.act, B at mlp.up"
    assert said in printed("mask", "diff", *paths)
    assert "no hookpoint" not in printed("mask", "diff", paths[0], paths[0])


@pytest.mark.slow
def test_a_part_of_a_mask_and_another_hookpoint_for_it(stats_file, tmp_path):
    whole, part, moved = (tmp_path / f"{name}.safetensors" for name in ("lap", "part", "moved"))
    said = printed(
        "identify", stats_file, "--method", "lap", "--min-probability", 0.2, "--out", whole
    )
    mask = NeuronMask.load(whole)
    said = printed("mask", "info", whole)
    assert re.search(r"\nof 3 +\d+", said)
    printed("mask", "select", whole, "--shared-by", "2..3", "--languages", "de,zh", "--out", part)
    assert NeuronMask.load(part) == mask.shared_by(2, 3).select(["de", "zh"])
    printed("mask", "write-at", whole, "mlp.down_in", "--out", moved)
    assert NeuronMask.load(moved) == mask.written_at("mlp.down_in")
    assert "lap(mlp.act>mlp.down_in)" in printed("mask", "info", moved)
    for wrong in (("--shared-by", "few"), ("--shared-by", "9"), ("--languages", "xx")):
        assert refused("mask", "select", whole, *wrong, "--out", tmp_path / "x")
    assert not (tmp_path / "x").exists()
