"""What a command works with: the configuration, the providers, the ledger."""

from __future__ import annotations

import shlex
import sys
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve

from imagegen.client import Client
from imagegen.client.arguments import opened_ledger
from imagegen.config import load
from imagegen.config.places import OFF, usual_ledger
from imagegen.defaults import TIMEOUT
from imagegen.distribution import install
from imagegen.errors import ConfigurationError
from imagegen.redaction import printable

if TYPE_CHECKING:
    from imagegen.config.settings import Settings
    from imagegen.ledger import Ledger

WARNINGS = 5
"""Warnings of the configuration that a command tells."""
SANDBOX_LATENCY = 1.0
"""Seconds that a picture takes in the embedded sandbox."""


class Setup:
    """What ``--config``, ``--profile``, ``--ledger`` and ``--sandbox`` come to.

    In the sandbox the configuration's routes and defaults hold; its keys, hosts, budget and ledger
    do not: nothing is spent there.
    """

    def __init__(
        self,
        *,
        config: Path | None = None,
        profile: str | None = None,
        ledger: str | None = None,
        sandbox: bool = False,
    ) -> None:
        self._config = config
        self._profile = profile
        self._ledger = OFF if ledger and ledger.strip().lower() == OFF else ledger
        self.sandbox = sandbox

    @classmethod
    def taken_from(cls, options: dict[str, Any]) -> Setup:
        """Take its options out of *options*, which keep the rest."""
        names = ("config", "profile", "ledger", "sandbox")
        return cls(**{name: options.pop(name) for name in names if name in options})

    @cached_property
    def settings(self) -> Settings:
        """What the configuration says; what it warns of is written to standard error, once.

        So is, on a terminal, that a file counts which nobody named.

        Raises:
            ConfigurationError: it is wrong.
        """
        settings = load(self._config, profile=self._profile)
        if settings.discovered and sys.stderr.isatty():
            words = f"imagegen: {settings.discovered} counts here: see imagegen config show"
            click.secho(printable(words), err=True, dim=True)
        for warning in settings.warnings[:WARNINGS]:
            click.echo(f"imagegen: warning: {printable(str(warning))}", err=True)
        if len(settings.warnings) > WARNINGS:
            more = len(settings.warnings) - WARNINGS
            click.echo(f"imagegen: {more} more warnings: run imagegen config check", err=True)
        return settings

    def client(self, book: Ledger | None, **options: Any) -> Client:
        """Make a client that writes into *book*; *options* are those of Client.

        Raises:
            ConfigurationError: the configuration is wrong.
        """
        if not self.sandbox:
            return Client.from_settings(self.settings, ledger=book, **options)
        from imagegen.sandbox import Sandbox  # noqa: PLC0415 - needed for --sandbox only

        if find_spec("PIL") is None:
            raise ConfigurationError(
                "the sandbox draws with Pillow, which is not installed",
                advice=f"Run: {install('sandbox')}",
            )
        said = {"defaults": self.settings.defaults, "routes": self.settings.routes}
        return Sandbox(latency=SANDBOX_LATENCY).client(ledger=book, **said, **options)

    def planner(self) -> Client:
        """Make a client that is to buy nothing, and so needs neither ledger nor budget.

        Raises:
            ConfigurationError: the configuration is wrong.
        """
        if self.sandbox:
            return self.client(None)
        return Client.from_settings(evolve(self.settings, budget=None, ledger=None))

    def seconds(self, option: float | None) -> float:
        """How long everything may take."""
        return (self.settings.timeout or TIMEOUT) if option is None else option

    def marked(self, option: bool | None) -> bool:  # noqa: FBT001 - the value of an option
        """Whether saved files are to say how they were made."""
        return self.settings.defaults.provenance if option is None else option

    def ledger(self) -> AbstractContextManager[Ledger | None]:
        """Open the ledger, if there is to be one. Results count as collected once they are saved.

        Raises:
            ConfigurationError: it cannot be opened.
        """
        place = self._place()
        return nullcontext() if place == OFF else self._opened(place)

    def required_ledger(self) -> Ledger:
        """Open the ledger, which is what the command is about.

        Raises:
            ConfigurationError: it is switched off, cannot be opened, or ``--ledger`` names none.
        """
        if self._ledger and self._ledger != OFF and not Path(self._ledger).exists():
            raise ConfigurationError(
                f"there is no ledger {self._ledger!r}", advice="Check the path", field="ledger"
            )
        place = self._place()
        if place == OFF:
            raise ConfigurationError(
                "the ledger is switched off",
                advice="Name it with --ledger, or unset IMAGEGEN_LEDGER",
                field="ledger",
            )
        return self._opened(place)

    @property
    def again(self) -> str | None:
        """What to add to ``imagegen jobs`` to finish later what is bought now.

        None where nothing can be: without a ledger, and in a sandbox that ends with the process.
        """
        if self.sandbox or self._place() == OFF:
            return None
        named = {"config": self._config, "profile": self._profile, "ledger": self._ledger}
        words = [f" --{name} {shlex.quote(str(value))}" for name, value in named.items() if value]
        return "".join(words)

    def _place(self) -> str:
        if self._ledger or self.sandbox:
            return self._ledger or OFF
        return str(self.settings.ledger or usual_ledger())

    def _opened(self, place: str) -> Ledger:
        prompts = self.sandbox or self.settings.prompts
        return opened_ledger(place, prompts=prompts, collect="saved")
