"""Where backends and settings come from: the environment, and `imagegen.toml`.

`environment` makes backends from variables. The rest reads files: `places` knows where they are,
`document` and `lines` read one, `tables` and `keys` and `prices` say what may stand in it, `trust`
what may not in a file that nobody named, `sections` turns it into layers of settings, `layers` lays
them over each other, `loading` does all of that, and `showing` tells where each comes from. Only
`environment` is loaded with a client; the rest is loaded when a file is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from imagegen.config.environment import completed, configured, from_environment

if TYPE_CHECKING:
    from imagegen.config.settings import Settings

__all__ = ["completed", "configured", "from_environment", "load"]


def load(
    path: str | Path | None = None,
    *,
    profile: str | None = None,
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
) -> Settings:
    """Read the settings that count here.

    Args:
        path: the file to read, alone and with trust. None: `IMAGEGEN_CONFIG`, else
            ``imagegen.toml`` of *folder*, without trust, over the user's own.
        profile: the profile to lay over the rest. None: `IMAGEGEN_PROFILE`, else none.
        environ: variables, which fill in what no file says.
        folder: the working directory, unless another is named.

    Raises:
        ConfigurationError: a file is wrong; the first fault is named with its file, line and key.
    """
    from imagegen.config.loading import examined  # noqa: PLC0415 - only a file needs its libraries

    found = examined(path, profile=profile, environ=environ, folder=folder)
    del environ  # a traceback may show locals
    if found.faults:
        raise found.faults[0].error(more=len(found.faults) - 1)
    return found.settings
