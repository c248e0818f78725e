"""Let lm-eval find this package, without importing either of them early.

lm-eval 0.4.13 discovers no plug-ins, so something has to register ours in every process that
evaluates. `lsn_eval_autoload.pth`, installed beside the package, is run by every interpreter of the
environment when it starts. It imports nothing: it puts a finder in front of the import system that
finds nothing and imports `lsn_eval` when `lm_eval` is looked for. By then a program's own folder
has joined the path, so that its own copy of the package wins. `import lsn_eval` calls `install`,
which serves where `.pth` files are not read, too (`pip install --target`, a zip file, PYTHONPATH):
a second finder waits for the lm_eval modules we extend; once those have run,
`lsn_eval.harness.plugin` attaches to them and that finder is gone. `LSN_EVAL_AUTOLOAD=0` switches
the `.pth` file off; an explicit `import lsn_eval` still counts.

This file imports nothing but `sys`, and swallows what goes wrong into one warning, since somebody
else's program is being run.
"""

import sys

TYPE_CHECKING = False  # `typing` alone would cost more than everything here
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

WATCHED = ("lm_eval.models", "lm_eval.api.metrics", "lm_eval.tasks", "lm_eval.evaluator")
"""The modules of lm_eval that `lsn_eval.harness.plugin` extends; a test compares the two."""

_failures: "set[str]" = set()  # that have been warned about


def install() -> None:
    """Attach to lm_eval: now where it has been imported, else as soon as it is.

    Cheap, and safe to call more than once: neither lm_eval nor torch is imported by it.
    """
    # By the name of its module, of which it may be an earlier copy.
    if any(type(finder).__module__ == __name__ for finder in sys.meta_path):
        return
    pending = [name for name in WATCHED if name not in sys.modules]
    if pending:
        sys.meta_path.insert(0, _Finder(pending))
    for name in WATCHED:
        if name not in pending:
            attach(name)


def attach(host: str) -> None:
    """Register what belongs to the lm_eval module `host`; a failure is one warning, no error."""
    try:
        from lsn_eval.harness import plugin

        plugin.attach(host)
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
        if failure not in _failures:
            _failures.add(failure)
            # Not `warnings`, which `python -W error` turns into the exception we must not raise.
            import logging

            logging.getLogger(__name__).warning(
                "lsn_eval could not extend %s (%s). lm_eval works, but without the models and "
                "tasks of lsn_eval. See whether the versions of both packages fit (pip check); "
                "LSN_EVAL_AUTOLOAD=0 silences this.",
                host,
                failure,
            )


class _Finder:
    """Finds nothing itself; adds a last step to the import of the modules it waits for."""

    def __init__(self, pending: "Sequence[str]") -> None:
        self.pending = set(pending)

    def find_spec(
        self,
        fullname: str,
        path: "Sequence[str] | None" = None,
        target: "ModuleType | None" = None,
    ) -> "ModuleSpec | None":
        if fullname not in self.pending:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, self)  # type: ignore[assignment]
                return spec
        return None

    def done(self, name: str) -> None:
        """Attach to `name`, which has been imported; the last one takes the finder away."""
        self.pending.discard(name)
        attach(name)
        if not self.pending and self in sys.meta_path:
            sys.meta_path.remove(self)


class _Loader:
    """The module's own loader, and then us.

    It stands in until the module runs; from then on the module shows its own loader only.
    """

    def __init__(self, loader: "Any", finder: _Finder) -> None:
        self._loader = loader
        self._finder = finder

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._loader, name)

    def create_module(self, spec: "ModuleSpec") -> "ModuleType | None":
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: "ModuleType") -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._finder.done(module.__name__)
