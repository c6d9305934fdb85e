"""What the package index calls us: there, `imagegen` is another project."""

DISTRIBUTION = "imagegen-client"


def install(extra: str) -> str:
    """Return the command that installs us with the *extra*."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"
