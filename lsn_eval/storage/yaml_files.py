"""YAML files with settings that users write: plain values by name, and nothing that grows."""

from __future__ import annotations

import json
import os
from typing import Any

from lsn_eval.errors import LsnError
from lsn_eval.storage.outside_files import read_text

_MOST_BYTES = 1 << 20


def read_settings(
    path: str | os.PathLike[str], error: type[LsnError], example: str
) -> dict[Any, Any]:
    """The settings in a YAML (or JSON) file, as they stand there.

    Args:
        example: a line such as the file may have.

    Raises:
        LsnError: `error`; it cannot be read, or is no YAML mapping.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):  # a few of them can stand for gigabytes
                raise error(f"{where} holds a YAML alias (*NAME); write out what it stands for")
            return super().compose_node(parent, index)

    where = os.fspath(path)
    text = read_text(path, error, most=_MOST_BYTES)
    try:
        settings = yaml.load(text, Loader)  # it is a safe one
        json.dumps(settings, ensure_ascii=False, default=str).encode()  # no half characters
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError) as cause:
        if isinstance(cause, error):
            raise
        raise error(f"{where} is no YAML: {cause}") from cause
    except RecursionError:
        raise error(f"{where} is nested too deeply") from None
    if not isinstance(settings, dict):
        raise error(f"{where} holds no settings; lines such as '{example}' were expected")
    return settings
