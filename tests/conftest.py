"""Fixtures that more than one test file needs.

What takes seconds to make is made once for all workers: `shared_folder(name, make)` makes it under a
lock, and every test that asks for that name gets the same folder, to read. So does `finished_demo`
(a sweep of 13 conditions with its report) serve whoever needs real results. A test that has to start
processes starts `warm_commands / "lm_eval"` (or "lsn-eval", "python"), which need not import torch
and lm-eval anew: seven seconds a process. In process, `builders.commands.printed` is quicker still.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import functools
import gc
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import transformers


SLOW = {"small_lm_eval", "finished_demo"}
"""Fixtures that take many seconds; tests that use one are slow."""
KEPT = {"arc", "xnli", "xquad"}
"""Of lm-eval's folders of tasks those that processes which a test starts find."""
FAMILIES = ("llama", "bloom", "gemma3", "gpt2", "phi3")
"""Of every kind of decoder one: what every row has to show is in `test_rows.py` of its room."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="a case of every test that is not slow")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow tests come first, so that no worker is left with them in the end, and first of all
    those that share what is made once: one worker makes it, and the other need not wait."""
    for item in items:
        if SLOW & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    if config.getoption("quick"):
        first_cases: dict[str, pytest.Item] = {}
        for item in items:
            if not any(item.get_closest_marker(name) for name in ("slow", "install", "stock")):
                first_cases.setdefault(item.nodeid.partition("[")[0], item)
        quick = set(first_cases.values())
        config.hook.pytest_deselected(items=[item for item in items if item not in quick])
        items[:] = first_cases.values()
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def place(item: pytest.Item) -> int:
        names = getattr(item, "fixturenames", ())
        first = [name in names for name in ("finished_demo", "warm_commands", "from_wheel")]
        return [*first, item.path in slow, True].index(True)

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What has been imported stays: it need not be looked through for cycles again and again."""
    gc.freeze()


def pytest_unconfigure() -> None:
    gc.freeze()


def pytest_runtest_setup() -> None:
    """What lm-eval writes of the machine takes ten programs, `pip list` among them: they are run
    once a process, not once an evaluation."""
    module = sys.modules.get("torch.utils.collect_env")
    if module is not None and not hasattr(module.get_env_info, "cache_info"):
        module.get_env_info = functools.cache(module.get_env_info)


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """A `model_type` of every kind."""
    return request.param


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Python's own handler, which a test run in the background does not start with."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def tokenizer() -> transformers.PreTrainedTokenizerFast:
    """One token a byte, and an end-of-text token; it adds no BOS."""
    import transformers  # late: tests of results and tables need neither it nor torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: number for number, character in enumerate(alphabet)}
    vocabulary["<|endoftext|>"] = len(vocabulary)
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )


@pytest.fixture(scope="session")
def shared_folder(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Callable[[str, Callable[[Path], object]], Path]:
    """`shared_folder(name, make)`: the folder `name` that `make` fills when it is first asked for,
    the same for all workers; not to be written to."""
    from filelock import FileLock

    ours = tmp_path_factory.getbasetemp()
    base = ours if worker_id == "master" else ours.parent

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = base / name, base / f"{name}.done"
        with FileLock(base / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def small_lm_eval(shared_folder) -> Path:
    """A folder for the path of a process that a test starts: lm-eval with all of its code and
    hardly any of its task files, which every process would parse anew."""
    import lm_eval

    installed = Path(lm_eval.__file__).parent

    def unneeded(folder: str, names: list[str]) -> list[str]:
        if Path(folder) != installed / "tasks":
            return []
        return [name for name in names if not name.endswith(".py") and name not in KEPT]

    return shared_folder(
        "small_lm_eval",
        lambda folder: shutil.copytree(installed, folder / "lm_eval", ignore=unneeded),
    )


@pytest.fixture
def few_tasks(small_lm_eval: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """lm-eval in this process finds the tasks of the small copy: a look at all takes very long."""
    for module in ("manager", "_index"):
        place = small_lm_eval / "lm_eval" / "tasks" / f"{module}.py"
        monkeypatch.setattr(f"lm_eval.tasks.{module}.__file__", str(place))


@pytest.fixture(scope="session")
def warm_commands(small_lm_eval: Path) -> Iterator[Path]:
    """A folder with `lm_eval`, `lsn-eval` and `python` as processes that import nothing anew."""
    from builders.warm_commands import warm_commands

    with warm_commands(small_lm_eval) as folder:
        yield folder


@pytest.fixture(scope="session")
def finished_demo(shared_folder) -> Path:
    """The folder of one finished demo with one control. Its `results` are those of a sweep of 13
    conditions over 12 tasks."""
    from lsn_eval.demo.demo import run_demo

    return shared_folder("finished_demo", lambda folder: run_demo(folder, controls=1))
