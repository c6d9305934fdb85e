"""The suite that every backend must pass, ours and other people's: one rule, one test.

    from acme_imagegen import Acme
    from imagegen.testing import Conformance, reply

    class TestAcme(Conformance):
        backend = Acme(api_key="not-a-key")
        success = [reply({"id": "j1"}), reply({"state": "done", "urls": ["https://…"]})]

pytest collects it. What a rule needs and was not given skips it, with a word on what to add.
"""

from __future__ import annotations

from imagegen.testing.conformance.fields import FieldRules
from imagegen.testing.conformance.form import FormRules
from imagegen.testing.conformance.jobs import JobRules
from imagegen.testing.conformance.money import MoneyRules
from imagegen.testing.conformance.places import PlaceRules
from imagegen.testing.conformance.purity import PurityRules
from imagegen.testing.conformance.translation import TranslationRules

__all__ = ["Conformance"]


class Conformance(
    FormRules,
    PurityRules,
    FieldRules,
    TranslationRules,
    MoneyRules,
    JobRules,
    PlaceRules,
):
    """What imagegen expects of a backend; subclass it, and name the backend.

    Attributes:
        backend: an instance, with a made-up key.
        success: the replies to one submission of one picture, in order, up to the picture.
        partial: the replies where two pictures were asked for and one came; None for a backend
            whose models all make one a call.
        refusals: pairs of a reply to a submission (or a sequence, if its job is polled) and the
            class of error that it means.
        models: ids to try; None for what `backend.models()` lists. The replies are those of the
            first, `partial` those of the first that can make two.
        request: the least that a model needs; override `request_for` if models differ.
        examples: how many replies each rule about arbitrary ones makes up.
        complete: True makes a rule fail that would be skipped for what was not given.
    """
