"""Rules about what a flow must not do itself: input, output, waiting, reading clocks or chance."""

from __future__ import annotations

from attrs import evolve

from imagegen.errors import ImageGenError, TransportError
from imagegen.redaction import prompts_hidden
from imagegen.testing.conformance.subject import EVERY_TERMS, Subject, require_none
from imagegen.testing.conformance.watch import Watch
from imagegen.testing.playing import reply

ADVICE = (
    "A flow yields a Call for a request and a Pause for a wait; times come with replies "
    "(Reply.received_at), and chance is not needed:"
)


class PurityRules(Subject):
    """No I/O, no clock, no chance; watched while it is played."""

    def test_the_flow_does_no_io_and_reads_no_clock(self) -> None:
        """Submitting, polling and failing call no clock, socket, file, chance or environment."""
        prompts_hidden()  # imagegen's own: read once from the environment
        watch = Watch()
        outcomes = (
            list(self.success),
            [reply({}, status=429)],
            [reply(body=b"<html>", status=502)],
            [TransportError("lost")],
            [*self.success[:1], reply({}, status=500)],
        )
        for watched in (Watch(), watch):  # what is read once, into a cache, is read before
            for each in outcomes:
                self.submitted(each, watch=watched)
        require_none(watch.seen, ADVICE)

    def test_translations_and_prices_do_no_io(self) -> None:
        """Translating and pricing call no clock, socket, file, chance or environment."""
        watch = Watch()
        for watched in (Watch(), watch):
            for model in self.asked_models:
                for terms in EVERY_TERMS:
                    request = evolve(self.request_for(model), seed=7)
                    with watched:
                        try:
                            self.backend.translate(request, model, terms)
                        except ImageGenError:
                            continue
                with watched:
                    self.backend.price(model, self.request_for(model))
                    self.backend.images_per_call(model, self.request_for(model))
        require_none(watch.seen, ADVICE)
