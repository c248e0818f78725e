"""Several conditions in one batch: each row under its own, answers as those of separate runs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch
from builders.architectures import tiny_model
from builders.masks import hooks_of, tiny_mask
from builders.sweeps import breaking, seen_always, sweep_settings, written
from lm_eval.api.instance import Instance
from lm_eval.api.model import CachingLM
from lm_eval.models.huggingface import HFLM

from lsn_eval import Condition, intervene
from lsn_eval.errors import InterventionError
from lsn_eval.harness import stacked_generation
from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.harness.seeded_generation import seed_marker
from lsn_eval.harness.stacked_decoding import StackedDecoding, can_decode
from lsn_eval.harness.stacked_generation import StackedGeneration
from lsn_eval.interventions.intervention import Intervention
from lsn_eval.interventions.report import SiteReport
from lsn_eval.interventions.stacked import StackedIntervention, StackedWriter
from lsn_eval.interventions.writers import Writer
from lsn_eval.models.resolving import resolve
from lsn_eval.sweeping.running import run_sweep
from lsn_eval.sweeping.settings import SweepSettings

needs_stacks = pytest.mark.skipif(
    not can_decode(), reason="this release of transformers takes no decoding loop"
)
CONDITIONS = (
    "none", "de:zero", "ru:x0.5", "random1-de:zero", "en:p90", "zh:+2/nl:zero", "ar:mean",
)  # fmt: skip
TEXTS = [
    "Der Hund schläft in der Sonne und",
    "Куда идёт поезд?",
    "今天",
    "The weather in the north is",
    "a",
]
GREEDY = {"until": ["\n", "en"], "max_gen_toks": 20}
SEEDED = {**GREEDY, "do_sample": True, "temperature": 0.9, "top_p": 0.95}


@pytest.fixture(scope="module")
def lm() -> LsnHF:
    return LsnHF(
        "lsn_demo", mask="demo/planted", condition="none", device="cpu", dtype="float32",
        batch_size=1,
    )  # fmt: skip


def requests(options: dict, texts=TEXTS) -> list[Instance]:
    return [Instance("generate_until", {}, (t, dict(options)), n) for n, t in enumerate(texts)]


def seeded(options: dict) -> list[Instance]:
    """A seed of its own for every request, in a stop string: batches of one."""
    asked = requests(options)
    for number, request in enumerate(asked):
        request.args[1]["until"] = [*options["until"], seed_marker(number)]
    return asked


def turns(lm: LsnHF, rows: int | None, conditions=CONDITIONS) -> Iterator[str]:
    """One condition after another, with those that follow."""
    for number, condition in enumerate(conditions, 1):
        lm.set_condition(condition)
        lm.stack(conditions[number:], rows)
        yield condition


def seen_by(lm: LsnHF | CachingLM) -> dict:
    return seen_always(lm.get_model_info()["lsn"]["seen"])


def swept(lm: LsnHF, asked, rows: int, conditions=CONDITIONS) -> dict[str, tuple[list[str], dict]]:
    """Answers and what the record says was seen, one condition after another."""
    return {
        condition: (lm.generate_until(asked, disable_tqdm=True), seen_by(lm))
        for condition in turns(lm, rows, conditions)
    }


@pytest.fixture
def batches(monkeypatch) -> list[int]:
    """Rows of every call that reached the model."""
    rows: list[int] = []
    generate = HFLM._model_generate

    def noted(self, context, *args, **kwargs):
        rows.append(context.shape[0])
        return generate(self, context, *args, **kwargs)

    monkeypatch.setattr(HFLM, "_model_generate", noted)
    return rows


AT_POSITIONS = ("none", "de:zero@generated", "ru:x0.5", "en:p90@last", "zh:+2", "ar:mean@prompt")


@needs_stacks
@pytest.mark.slow
def test_conditions_at_some_positions_are_generated_for_by_themselves(lm, batches):
    apart = swept(lm, requests(GREEDY), 0, AT_POSITIONS)
    batches.clear()
    together = swept(lm, requests(GREEDY), 64, AT_POSITIONS)
    assert together == apart
    assert len({str(answers) for answers, _ in apart.values()}) == len(apart)
    # Three of them together, then three alone, for each of the texts.
    assert sorted(batches) == [1] * 3 * len(TEXTS) + [3] * len(TEXTS)


@needs_stacks
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize(
    "asked",
    [requests(GREEDY), requests({**SEEDED, "seed": 3}), seeded(SEEDED)],
    ids=["greedy", "one seed", "a seed each"],
)
@pytest.mark.slow
def test_answers_and_records_equal_separate_runs(lm, batches, asked, batch_size):
    lm.batch_size_per_gpu = batch_size
    alone = swept(lm, asked, 0)
    separate, largest = len(batches), max(batches)
    assert largest <= batch_size
    batches.clear()
    assert swept(lm, asked, 3 * largest) == alone
    assert max(batches) == 3 * largest
    assert 2 * len(batches) < separate
    assert not lm.stacked.rows_ahead, "every kept answer was used"
    texts = [tuple(answers) for answers, _ in alone.values()]
    assert len(set(texts)) == len(CONDITIONS), "conditions that answer alike show nothing"
    for condition, (_, seen) in alone.items():
        assert bool(seen) == (condition != "none")


@pytest.mark.slow
def test_the_random_numbers_afterwards_are_those_of_separate_runs(lm):
    lm.batch_size_per_gpu = 2
    states = []
    for rows in (0, 8):
        torch.manual_seed(4)
        swept(lm, requests({**SEEDED, "seed": 3}), rows, CONDITIONS[:3])
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


@pytest.mark.parametrize(
    "options",
    [
        {"do_sample": True, "temperature": 1.0},
        {"num_beams": 2, "do_sample": False},
        {"do_sample": True, "temperature": 1.0, "seed": 1, "num_beams": 2},
    ],
    ids=["without a seed", "beams", "sampled beams"],
)
@pytest.mark.slow
def test_what_cannot_be_exact_is_not_stacked(lm, batches, caplog, options):
    lm.batch_size_per_gpu = 1
    asked = requests({**GREEDY, **options}, TEXTS[:2])
    answers = []
    for rows in (0, 8):
        batches.clear()
        torch.manual_seed(4)
        answers.append(swept(lm, asked, rows, CONDITIONS[:2]))
    assert answers[0] == answers[1]
    assert batches.count(1) == 4, "each generated by itself"
    assert "at once" not in caplog.text, "no failure"


@needs_stacks
@pytest.mark.parametrize("rows", [0, 8])
def test_what_transformers_refuses_is_refused_in_a_stack_too(lm, rows):
    lm.set_condition("none")
    lm.stack(CONDITIONS[1:3], rows)
    with pytest.raises((ValueError, AttributeError), match="(?i)contrastive.search"):
        lm.generate_until(requests({**GREEDY, "penalty_alpha": 0.6, "top_k": 4}, TEXTS[:1]))


@pytest.mark.slow
def test_each_condition_is_cut_where_its_own_batch_ends(lm):
    """Tokens, not texts: a later stop string must not matter to a batch that has ended."""
    lm.batch_size_per_gpu = 2
    context, mask = lm.tok_batch_encode(TEXTS[:2])
    asked = {"context": context, "attention_mask": mask, "stop": ["e", "а"], "max_length": 60}
    alone, together = (
        [lm._model_generate(**asked).tolist() for _ in turns(lm, rows)] for rows in (0, 64)
    )
    assert together == alone
    assert len({len(rows[0]) for rows in alone}) > 1


# Rows under their own condition ---------------------------------------------------------------

WHO = ["de:zero", None, "de:x0.5/fr:+1.5", "vi:mean"]


def stacked_of(model, mask) -> tuple[StackedIntervention, list[Intervention | None]]:
    members = [who and Intervention(model, mask, Condition.parse(who)) for who in WHO]
    return StackedIntervention(members), members


def forward(model, ids, attention=None) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=attention).logits


@pytest.mark.parametrize("hookpoint", ["mlp.act", "mlp.down_in", "attn.k"])
def test_every_row_equals_intervene(family, hookpoint):
    model = tiny_model(family)
    mask = tiny_mask(model, hookpoint)
    ids = torch.randint(0, 256, (3, 7), generator=torch.Generator().manual_seed(2))
    attention = torch.ones_like(ids)
    attention[1, :3] = 0  # left padding
    before = forward(model, ids, attention)
    stacked, members = stacked_of(model, mask)
    with stacked.active(3):
        together = forward(model, ids.repeat(4, 1), attention.repeat(4, 1))
    for number, (who, part) in enumerate(zip(WHO, together.split(3), strict=True)):
        with intervene(model, mask, who) as report:
            alone = forward(model, ids, attention)
        assert torch.allclose(part, alone, rtol=1e-4, atol=1e-5), who
        assert (alone - before).abs().max() > 1e-3 or who is None
        counts = stacked.counts(number)
        assert [count.overwritten for count in counts] == [s.overwritten for s in report.sites]
        assert [count.changed for count in counts] == [site.changed for site in report.sites]
        assert [count.calls for count in counts] == [site.calls for site in report.sites]
    assert all(member is None or not member.report.calls for member in members)
    assert torch.equal(forward(model, ids, attention), before)


def test_the_model_is_as_it_was_also_after_an_exception(family):
    model = tiny_model(family)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    ids = torch.tensor([[1, 2, 3]] * 4)
    before, hooked = forward(model, ids), hooks_of(model)
    stacked, _ = stacked_of(model, tiny_mask(model))
    with pytest.raises(ZeroDivisionError), stacked.active(1):
        forward(model, ids)
        raise ZeroDivisionError
    assert hooks_of(model) == hooked
    assert torch.equal(forward(model, ids), before)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("hookpoint", ["mlp.act", "attn.q"])
@pytest.mark.parametrize("whos", [WHO, [None, "de:zero", "fr:p90/vi:1.5"]], ids=["all", "sets"])
def test_what_is_written_is_what_a_writer_alone_writes_bit_for_bit(dtype, hookpoint, whos):
    model = tiny_model("gpt2")  # its attn.q is a part of a fused layer
    mask = tiny_mask(model, hookpoint)
    members = [who and Intervention(model, mask, Condition.parse(who)) for who in whos]
    writes = [one and one.plan.writes.get((hookpoint, "1")) for one in members]
    site = resolve(model).site(hookpoint, "1")
    stacked = StackedWriter(site, writes)
    stacked.start(3)
    generator = torch.Generator().manual_seed(5)
    values = torch.randn(3 * len(whos), 6, site.extent, generator=generator).to(dtype)
    values = values.transpose(1, 2).contiguous().transpose(1, 2)  # other strides
    result = values.clone(memory_format=torch.contiguous_format)
    stacked(result, compare=True)
    for number, (write, part) in enumerate(zip(writes, values.split(3), strict=True)):
        if write is None:
            assert torch.equal(result[3 * number : 3 * number + 3], part)
        else:
            seen = SiteReport(hookpoint, "1", "", write.indices.size)
            alone = part.clone()
            Writer(site, write, seen)(alone, compare=True)
            assert torch.equal(result[3 * number : 3 * number + 3], alone)
            assert stacked.counts(number) == seen.counts()


def test_rows_that_do_not_divide_and_sites_that_never_fire_are_errors():
    model = tiny_model("llama")
    stacked, _ = stacked_of(model, tiny_mask(model))
    ids = torch.tensor([[1, 2]] * 8)
    with (
        pytest.raises(InterventionError, match=r"\[4 conditions x 1 rows, position, neuron\]"),
        stacked.active(1),
    ):
        forward(model, ids)
    with pytest.raises(InterventionError, match="never fired"), stacked.active(2):
        pass


def test_a_stack_that_goes_round_the_hooks_or_overflows_is_refused():
    model = tiny_model("llama", torch.float16)
    ids = torch.tensor([[1, 2]] * 4)
    stacked, _ = stacked_of(model, tiny_mask(model))
    mlp = model.model.layers[0].mlp
    usual = mlp.forward

    def ignores_its_activation(x):
        mlp.act_fn(mlp.gate_proj(x))
        return mlp.down_proj(torch.nn.functional.silu(mlp.gate_proj(x)) * mlp.up_proj(x))

    mlp.forward = ignores_its_activation
    with pytest.raises(InterventionError, match="does not arrive"), stacked.active(1):
        forward(model, ids)
    mlp.forward = usual
    members = [
        Intervention(model, tiny_mask(model), Condition.parse(c)) for c in ("de:x2", "fr:x1e38")
    ]
    stacked = StackedIntervention(members)
    with pytest.raises(InterventionError, match="finite values"), stacked.active(2):
        forward(model, ids)


def test_a_condition_that_is_done_is_no_longer_counted():
    model = tiny_model("llama")
    stacked, _ = stacked_of(model, tiny_mask(model))
    ids = torch.tensor([[1, 2]] * 4)
    with stacked.active(1):
        forward(model, ids)
        stacked.finish(0)
        forward(model, ids)
    assert [count.calls for count in stacked.counts(0)] == [1, 1]
    assert [count.calls for count in stacked.counts(2)] == [2, 2]


# Kept answers -----------------------------------------------------------------------------------


class Calls:
    """Stands for a model: the answer is the number of the call, beside the condition's number."""

    def __init__(self, monkeypatch) -> None:
        self.made = 0
        monkeypatch.setattr(StackedIntervention, "active", lambda self, rows: torch.no_grad())
        monkeypatch.setattr(stacked_generation, "can_decode", lambda: True)
        monkeypatch.setattr(StackedDecoding, "parts", lambda self, tokens: list(tokens))
        self.stacked = StackedGeneration(self, lambda stop, length, rows: None, lambda _: None)

    def __call__(self, context, seed, custom_generate, **options):
        self.made += 1
        rows = context.view(-1, 1, context.shape[1])
        numbers = torch.arange(len(rows))[:, None, None]
        return torch.cat([rows, numbers, torch.full_like(numbers, self.made)], dim=2)

    def ask(self, condition: str, following=(), context=(7, 8), **options):
        self.stacked.turn_to(Condition.parse(condition), None)
        self.stacked.follow([Condition.parse(text) for text in following], 64)
        return self.again(context, **options)

    def again(self, context=(7, 8), **options):
        given = {"max_length": 9, "stop": ["a"], "attention_mask": torch.ones(1, 2)} | options
        answer = self.stacked.answer(torch.tensor([context]), **given)
        return None if answer is None else tuple(answer[0].tolist()[2:])


def test_a_kept_answer_goes_to_its_condition_once(monkeypatch):
    calls = Calls(monkeypatch)
    assert calls.ask("none", ["de:zero", "fr:zero"]) == (0, 1)
    assert calls.stacked.rows_ahead == 2
    assert calls.ask("fr:zero", ["de:zero"]) == (2, 1)
    assert calls.stacked.rows_ahead == 1
    assert calls.again() is None, "used, and de:zero has its answer"
    assert calls.ask("de:zero") == (1, 1)
    assert calls.again() is None


@pytest.mark.parametrize(
    "other",
    [
        {"context": (7, 9)},
        {"max_length": 10},
        {"stop": ["b"]},
        {"stop": ["a", seed_marker(1)]},
        {"attention_mask": torch.zeros(1, 2)},
        {"attention_mask": None},
        {"seed": 1},
        {"temperature": 0.5},
        {"do_sample": True},
        {"do_sample": 1},
    ],
    ids=str,
)
def test_a_kept_answer_does_not_go_to_another_call(monkeypatch, other):
    calls = Calls(monkeypatch)
    given = {"do_sample": False}
    calls.ask("none", ["de:zero"], **given)
    assert calls.ask("de:zero", **{**given, **other}) is None
    assert calls.again(**given) == (1, 1)


def test_a_call_with_a_value_that_has_no_text_and_old_transformers_are_not_stacked(monkeypatch):
    calls = Calls(monkeypatch)
    assert calls.ask("none", ["de:zero"], prefix_allowed_tokens_fn=len) is None
    assert not calls.stacked.rows_ahead
    monkeypatch.setattr(stacked_generation, "can_decode", lambda: False)
    assert calls.ask("none", ["de:zero"]) is None


def test_answers_of_conditions_that_will_not_follow_are_dropped(monkeypatch):
    calls = Calls(monkeypatch)
    calls.ask("none", ["de:zero", "fr:zero"])
    assert calls.ask("fr:zero") == (2, 1)
    assert calls.stacked.rows_ahead == 0
    assert calls.ask("de:zero") is None
    calls.ask("none", ["de:zero"])
    for turn, rows in (("de:zero", 1), ("fr:zero", 0)):  # de:zero does not ask
        calls.stacked.turn_to(Condition.parse(turn), None)
        assert calls.stacked.rows_ahead == rows


@needs_stacks
@pytest.mark.slow
def test_stacks_are_as_large_as_is_allowed(lm, batches):
    lm.batch_size_per_gpu = 2
    swept(lm, requests(GREEDY, TEXTS[:2]), 5)
    assert batches == [4, 4, 4, 2]
    batches.clear()
    swept(lm, requests(GREEDY, TEXTS[:2]), 1)
    assert batches == [2] * len(CONDITIONS)


@pytest.mark.slow
def test_a_response_cache_holds_each_conditions_own_answers(tmp_path, monkeypatch):
    model = LsnHF("lsn_demo", mask="demo/planted", condition="none", device="cpu", batch_size=2)
    alone = swept(model, requests(GREEDY), 0, CONDITIONS[:4])
    caching = CachingLM(model, str(tmp_path / "cache.db"))
    for _ in range(2):
        for condition in turns(model, None, CONDITIONS[:4]):
            assert caching.generate_until(requests(GREEDY)) == alone[condition][0]
            assert seen_by(caching) == alone[condition][1]
        monkeypatch.setattr(HFLM, "_model_generate", None)  # from here on, from the cache


# What goes wrong --------------------------------------------------------------------------------


@needs_stacks
@pytest.mark.slow
def test_a_condition_that_fails_does_so_alone_and_at_its_turn(lm, monkeypatch, caplog):
    lm.batch_size_per_gpu = 2
    alone = swept(lm, requests(GREEDY), 0)
    plain = HFLM._model_generate

    def breaks(self, *args, **kwargs):
        raise RuntimeError("no such probability")

    def breaks_for_russian(self, context, max_length, stop, **options):
        if str(lm.condition) == "ru:x0.5":
            raise RuntimeError("no such probability")
        return plain(self, context, max_length, stop, **options)

    monkeypatch.setattr(StackedDecoding, "__call__", breaks)
    monkeypatch.setattr(HFLM, "_model_generate", breaks_for_russian)
    with caplog.at_level(logging.WARNING):
        for condition in turns(lm, 64):
            if condition == "ru:x0.5":
                with pytest.raises(RuntimeError, match="no such probability"):
                    lm.generate_until(requests(GREEDY), disable_tqdm=True)
            else:
                assert lm.generate_until(requests(GREEDY), disable_tqdm=True) == alone[condition][0]
                assert seen_by(lm) == alone[condition][1]
    assert caplog.text.count("at once failed") == 1


@needs_stacks
def test_a_condition_that_cannot_be_prepared_is_left_out(lm, batches, monkeypatch):
    lm.batch_size_per_gpu = 1
    probe = LsnHF._probe

    def refuses(self, intervention):
        if "ru" in str(intervention.plan.condition):
            raise InterventionError("goes round the hooks")
        probe(self, intervention)

    monkeypatch.setattr(LsnHF, "_probe", refuses)
    lm.set_condition("none")
    lm.stack(["de:zero", "ru:zero", "zh:zero"], 64)
    lm.generate_until(requests(GREEDY, TEXTS[:1]), disable_tqdm=True)
    assert batches == [3]
    with pytest.raises(InterventionError):
        lm.set_condition("ru:zero")
    lm.set_condition("zh:zero")
    lm.generate_until(requests(GREEDY, TEXTS[:1]), disable_tqdm=True)
    assert batches == [3]


@needs_stacks
@pytest.mark.slow
def test_short_memory_makes_smaller_stacks(lm, batches, monkeypatch, caplog):
    lm.batch_size_per_gpu = 2
    alone = swept(lm, requests(GREEDY), 0)
    call = StackedDecoding.__call__
    tried = []

    def short(self, model, input_ids, *args, **kwargs):
        tried.append(input_ids.shape[0])
        if input_ids.shape[0] > 6:
            raise torch.OutOfMemoryError("too many rows")
        return call(self, model, input_ids, *args, **kwargs)

    monkeypatch.setattr(StackedDecoding, "__call__", short)
    with caplog.at_level(logging.WARNING):
        assert swept(lm, requests(GREEDY), 64) == alone
    assert tried[:3] == [14, 6, 6]
    assert caplog.text.count("memory is short") == 1


# A whole sweep ----------------------------------------------------------------------------------

DATA = """
from datasets import Dataset

def load(**settings):
    texts = ["Der Hund", "Куда идёт", "今天", "The weather in the", "a"]
    return {"test": Dataset.from_list([{"question": text, "answer": "e"} for text in texts])}
"""
TASK = """
task: {name}
output_type: generate_until
custom_dataset: !function stack_data.load
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
num_fewshot: {shots}
generation_kwargs: {kwargs}
metric_list: [{{metric: exact_match}}]
metadata: {{version: 1.0}}
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "stack_data.py").write_text(DATA)
    for name, shots, options in (
        ("stack_greedy", 0, GREEDY),
        ("stack_shots", 2, GREEDY),
        ("stack_unseeded", 0, SEEDED),
        ("stack_seeded", 0, {**SEEDED, "seed": 9}),
    ):
        text = TASK.format(name=name, shots=shots, kwargs=json.dumps(options))
        (folder / f"{name}.yaml").write_text(text)
    return str(folder)


def settings(folder: str, **given) -> SweepSettings:
    everything = ("stack_greedy", "stack_shots", "stack_unseeded", "stack_seeded")
    return sweep_settings(**{
        "batch_size": "3", "include_path": folder, "conditions": CONDITIONS[:5], "limit": None,
        "tasks": everything, **given,
    })  # fmt: skip


@pytest.mark.slow
def test_a_sweep_gives_the_same_files_with_and_without_stacks(tasks, tmp_path, batches):
    for name, stack, largest in (("off", 0, 3), ("on", None, 15)):
        batches.clear()
        assert not run_sweep(settings(tasks, stack=stack), tmp_path / name, progress=False).failed
        assert max(batches) == largest or (stack is None and not can_decode())
    on, off = written(tmp_path / "on"), written(tmp_path / "off")
    assert set(on) == set(CONDITIONS[:5])
    assert on == off
    assert len({str(samples) for _, samples in on.values()}) == 5
    # The rounding of a batch is no reason to refuse what is there.
    batches.clear()
    again = run_sweep(settings(tasks, stack=6), tmp_path / "off", progress=False)
    assert len(again.skipped) == 5
    assert not batches


@needs_stacks
@pytest.mark.slow
def test_only_conditions_still_to_be_run_are_stacked(tasks, tmp_path, batches):
    given = {"tasks": ("stack_greedy",), "limit": 3}
    run_sweep(settings(tasks, conditions=CONDITIONS[1:3], **given), tmp_path, progress=False)
    batches.clear()
    run_sweep(settings(tasks, conditions=CONDITIONS[:4], **given), tmp_path, progress=False)
    assert batches == [6], "none and the control"


@pytest.fixture(scope="module")
def alone(tasks, tmp_path_factory) -> dict:
    """Without stacks."""
    folder = tmp_path_factory.mktemp("alone")
    chosen = settings(tasks, tasks=("stack_greedy",), conditions=CONDITIONS[:4], stack=0)
    assert not run_sweep(chosen, folder, progress=False).failed
    return written(folder)


@pytest.mark.parametrize(
    ("error", "finished"),
    [(RuntimeError("the disk is full"), CONDITIONS[2:4]), (KeyboardInterrupt(), ())],
)
@pytest.mark.slow
def test_answers_ahead_are_not_results(tasks, tmp_path, error, finished, alone):
    chosen = settings(tasks, tasks=("stack_greedy",), conditions=CONDITIONS[:4])
    stops = isinstance(error, KeyboardInterrupt)
    with (
        pytest.raises(KeyboardInterrupt) if stops else nullcontext(),
        breaking(error, "de:zero", finished=True),
    ):
        outcome = run_sweep(chosen, tmp_path / "out", progress=False)
        assert outcome.failed == {"de:zero": "the disk is full"}
    assert set(written(tmp_path / "out")) == {"none", *finished}
    assert not run_sweep(chosen, tmp_path / "out", progress=False).failed
    assert written(tmp_path / "out") == alone
