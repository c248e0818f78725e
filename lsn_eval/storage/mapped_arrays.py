"""Arrays that lie in files and take their room on the disk before they are used."""

from __future__ import annotations

import math
import os
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_ZEROS = bytes(1 << 20)


def mapped_array(file: IO[bytes], dtype: type, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array in a file, mapped: as it was where the file has its size, else made anew.

    Its room is taken first: writing to a map of a file with holes on a full disk ends the process
    without a word.

    Raises:
        OSError: there is no room for it.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if os.fstat(file.fileno()).st_size != size:
        file.truncate(0)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            for start in range(0, size, len(_ZEROS)):
                file.write(_ZEROS[: size - start])
            file.flush()
    return np.memmap(file, dtype=dtype, mode="r+", shape=shape)
