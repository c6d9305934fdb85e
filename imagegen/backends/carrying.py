"""What an exception carries of a purchase that it ends: the job, or that it may be billed."""

from __future__ import annotations

from imagegen.errors import ImageGenError
from imagegen.result import Job

_JOB = "__imagegen_job__"
"""Where an exception that is none of ours has the job, beside its note."""


def carry(job: Job, error: BaseException) -> None:
    """Let *error* carry *job*; one that is none of ours also gets a note of it.

    An error that has its job already knows how the job ended. Any other leaves it going on, and
    so charged.
    """
    if not isinstance(error, ImageGenError):
        vars(error).setdefault(_JOB, job)
        words = "was accepted and may go on; client.result(job) can still ask for it"
        _note(error, f"{job.provider}: job {job.id} {words}")
        return
    error.provider, error.model = job.provider, job.model
    if error.job is None:
        error.job, error.charged, error.ongoing = job, "yes", True
        error.advice = "The job may go on; ask again with client.result(error.job)"


def carried(error: BaseException) -> Job | None:
    """The job that *error* carries."""
    job = error.job if isinstance(error, ImageGenError) else vars(error).get(_JOB)
    return job if isinstance(job, Job) else None


def may_be_billed(error: BaseException, provider: str) -> None:
    """Note on *error*, which is none of ours, that it came amid a submission."""
    _note(error, f"{provider}: a paid submission was under way; it may be billed")


def _note(error: BaseException, words: str) -> None:
    """Note them once, however many stand in the way of *error*."""
    if words not in getattr(error, "__notes__", ()):
        error.add_note(words)
