"""`imagegen jobs`: what is open on the ledger, and finishing it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from imagegen.cli import exit_codes
from imagegen.cli.columns import columns, money
from imagegen.cli.delivery import Delivery, Saving, delivered
from imagegen.cli.options import (
    config_options,
    json_option,
    ledger_option,
    out_option,
    provenance_option,
    timeout_option,
)
from imagegen.cli.report import (
    Speaker,
    as_lines,
    cost_as_dict,
    dumps,
    echo,
    made_as_dict,
)
from imagegen.cli.setup import Setup
from imagegen.errors import InvalidRequestError, JobFailedError
from imagegen.ledger import Entry, Ledger
from imagegen.pictures.files import require_writable
from imagegen.purchase.recovery import Reconciliation
from imagegen.redaction import prompts_hidden, shown
from imagegen.wording import counted

_HEADS = ("state", "started (UTC)", "model", "pictures", "price", "job or entry", "prompt")
_STATES = {"intent": "being sent", "submitted": "accepted"}


EPILOG = """Nothing is bought. Exit status: 0 nothing is open any more; 10 something still is;
otherwise as of `imagegen generate`."""


@click.group()
def command() -> None:
    """Show and finish what was paid for and is still open on the ledger."""


@command.command("list")
@ledger_option
@config_options
@click.option("--all", "everything", is_flag=True, help="Show what is finished too.")
@json_option
def show(*, everything: bool, as_json: bool, **options: Any) -> None:
    """List what is open: under way, unknown or not saved."""
    setup, say = Setup.taken_from(options), Speaker(as_json=as_json)
    with say.explaining(), setup.required_ledger() as book:
        book.abandoned().result()
        entries = book.entries().result()
    listed = [entry for entry in entries if everything or _is_open(entry)]
    if as_json:
        echo(dumps({"entries": [_entry(entry) for entry in listed]}))
    else:
        echo(_table(listed) if listed else "nothing is open")
        _advise(listed, setup.again or "")


def _finishing(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that `jobs resume` and `jobs reconcile` share."""
    for option in (json_option, timeout_option, provenance_option, out_option, config_options):
        function = option(function)
    return ledger_option(function)


@command.command(epilog=EPILOG)
@_finishing
def resume(**options: Any) -> None:
    """Wait for what is open, save it, list what is unknown."""
    _finish(Setup.taken_from(options), look_up=False, **options)


@command.command(epilog=EPILOG)
@_finishing
def reconcile(**options: Any) -> None:
    """Look up what is unknown, then resume.

    WaveSpeedAI has a list of what it accepted; MiniMax has none. Ten seconds are allowed for the
    list to show what is new.
    """
    _finish(Setup.taken_from(options), look_up=True, **options)


def _finish(
    setup: Setup,
    *,
    look_up: bool,
    out: Path,
    timeout: float | None,
    provenance: bool | None,
    as_json: bool,
) -> None:
    """Collect what is open, save it, say what came of it, and end the command."""
    say = Speaker(as_json=as_json)
    with say.explaining():
        say.on_ledger = setup.again
        require_writable(out)
        seconds = setup.seconds(timeout)
        saving = Saving(out, time.monotonic() + seconds, setup.marked(provenance))
        with setup.required_ledger() as book, closing(setup.client(book)) as client:
            report = client.reconcile(look_up=look_up, timeout=seconds)
            finished = Finished(report, delivered(client, book, report.generations, saving))
    echo(dumps(finished.as_dict(say)) if as_json else "\n".join(finished.as_lines(say)))
    if finished.problem:
        say.unsaved(finished.problem)
    if report.unknown and not look_up and not as_json:
        _advise(report.unknown, setup.again or "")
    raise SystemExit(finished.status)


@command.command("close")
@click.argument("entry")
@ledger_option
@config_options
@click.option(
    "--paid/--not-paid", required=True, default=None, help="What you found out at the provider."
)
@json_option
def close(*, entry: str, paid: bool, as_json: bool, **options: Any) -> None:
    """Write down what became of ENTRY, which is unknown.

    For what no list can tell: look at your account at the provider first. What was not paid is no
    longer held against a budget.
    """
    say = Speaker(as_json=as_json)
    with say.explaining(), Setup.taken_from(options).required_ledger() as book:
        closed = _closed(book, entry, paid=paid)
    echo(dumps({"entries": [_entry(closed)]}) if as_json else f"closed: {_named(closed)}")


def _closed(book: Ledger, key: str, *, paid: bool) -> Entry:
    entry = book.entry(key).result()
    if entry is None or entry.state != "unknown":
        what = f"is {_state(entry)}" if entry else "is not on the ledger"
        raise InvalidRequestError(
            f"{key!r} {what}; only what is unknown can be closed",
            advice="Run imagegen jobs list to see what is open",
            field="entry",
        )
    words = "closed by hand: it was paid" if paid else "closed by hand: it was not paid"
    if paid:
        book.settled(entry.id, JobFailedError(words, charged="yes")).result()
    else:
        book.refused(entry.id, JobFailedError(words, charged="no")).result()
    return book.entry(entry.id).result() or entry


@frozen
class Finished:
    """What a reconciliation brought, and where it was saved."""

    report: Reconciliation
    deliveries: Sequence[Delivery] = ()

    @property
    def problem(self) -> BaseException | None:
        """What went wrong in saving."""
        return next((each.problem for each in self.deliveries if each.problem), None)

    @property
    def status(self) -> int:
        """The command's exit status."""
        if isinstance(self.problem, KeyboardInterrupt):
            return exit_codes.INTERRUPTED
        left = (self.report.errors, self.report.unknown, self.report.running)
        whole = not any(left) and all(each.complete for each in self.deliveries)
        return exit_codes.OK if whole else exit_codes.PARTIAL

    def as_dict(self, say: Speaker) -> dict[str, Any]:
        """The object that `--json` prints; an interface: docs/guides/command.md."""
        report = self.report
        return {
            "generations": [made_as_dict(each.generation, each.paths) for each in self.deliveries],
            "errors": [say.error_as_dict(error) for error in report.errors],
            "adopted": [_entry(entry) for entry in report.adopted],
            "absent": [_entry(entry) for entry in report.absent],
            "unknown": [_entry(entry) for entry in report.unknown],
            "running": [_entry(entry) for entry in report.running],
        }

    def as_lines(self, say: Speaker) -> list[str]:
        """The lines that a person reads."""
        lines = [
            line
            for each in self.deliveries
            for line in as_lines(each.generation, each.paths, sandbox=False)
        ]
        lines += [f"no result: {say.told(str(error))}" for error in self.report.errors]
        several = {
            "found at the provider": self.report.adopted,
            "never accepted, nothing was paid": self.report.absent,
            "unknown, may be billed": self.report.unknown,
            "another process is at work on it": self.report.running,
        }
        for kind, entries in several.items():
            lines += [f"{kind}: {_named(entry)}" for entry in entries]
        return lines or ["nothing is open"]


def _is_open(entry: Entry) -> bool:
    return entry.state in ("intent", "submitted", "unknown") or _state(entry) == "not saved"


def _state(entry: Entry) -> str:
    """The state, in words for a person: what of a settled entry is left to do."""
    if entry.state != "settled":
        return _STATES.get(entry.state, entry.state)
    settled = entry.job.settled if entry.job else None
    if not (settled and settled.images):
        return "failed"
    return "done" if entry.collected else "not saved"


def _named(entry: Entry) -> str:
    job = f"job {entry.job.id}" if entry.job and entry.job.id else f"entry {entry.id}"
    when = f"{entry.started_at:%Y-%m-%d %H:%M:%S} UTC"
    pictures = counted(entry.n, "picture")
    return f"{entry.provider}:{entry.model}, {pictures}, {when}, {job}"


def _table(entries: Sequence[Entry]) -> str:
    return columns(
        _HEADS,
        [
            (
                _state(entry),
                f"{entry.started_at:%Y-%m-%d %H:%M:%S}",
                f"{entry.provider}:{entry.model}",
                entry.n,
                money(entry.reserved.amount, entry.reserved.currency),
                (entry.job.id if entry.job else "") or entry.id,
                None if prompts_hidden() else shown(entry.request.prompt, 40),
            )
            for entry in entries
        ],
    )


def _advise(entries: Sequence[Entry], at: str) -> None:
    """Say what to do about *entries* that are open; not among the results, which may be piped."""
    states = {_state(entry) for entry in entries}
    if states & {"accepted", "not saved"}:
        click.echo(
            f"imagegen: to wait for them and save them, run imagegen jobs resume{at}", err=True
        )
    if "unknown" in states:
        words = "to look up what is unknown, where the provider has a list, run"
        click.echo(f"imagegen: {words} imagegen jobs reconcile{at}", err=True)
        words = "once you know what became of one, run"
        click.echo(
            f"imagegen: {words} imagegen jobs close{at} ENTRY --paid or --not-paid", err=True
        )


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "state": entry.state,
        "provider": entry.provider,
        "model": entry.model,
        "prompt": None if prompts_hidden() else entry.request.prompt,
        "n": entry.n,
        "images": entry.images,
        "reserved": cost_as_dict(entry.reserved),
        "cost": cost_as_dict(entry.cost),
        "job": entry.job.id if entry.job else None,
        "error": entry.error,
        "message": entry.message,
        "request_id": entry.request_id,
        "started_at": entry.started_at,
        "updated_at": entry.updated_at,
        "collected": entry.collected,
    }
