"""The `imagegen` command. It needs the extra `cli`; see `imagegen.cli.commands`."""

import sys

from imagegen.distribution import install


def main() -> None:
    """Run the command, or say what to install."""
    try:
        from imagegen.cli.commands import run  # noqa: PLC0415 - click may be missing

        status = run()
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit(f"imagegen: {error.name} is missing; run: {install('cli')}")
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)
