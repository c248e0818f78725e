"""Tasks, masks and the demo model: in this folder once installed, in a checkout beside the package.

`__path__` holds both places, so that `lsn_eval.data.tasks` is found as a package wherever it lies:
the entry point of group `lm_eval.tasks` names it.
"""

from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]
# In site-packages, what lies beside the package is somebody else's.
if (_CHECKOUT / "pyproject.toml").is_file():
    __path__.append(str(_CHECKOUT))
