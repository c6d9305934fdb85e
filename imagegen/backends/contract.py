"""Everything that a backend is written with, in one place; `docs/adding-a-backend.md` uses it.

What a caller sees too (ImageRequest, Job, Price, the errors) is in `imagegen` itself.
"""

from __future__ import annotations

from imagegen.backends.base import Backend, Draft, Terms, Translation, attached, submit_once
from imagegen.backends.pictures import Exchange, inline_image, is_url
from imagegen.backends.polling import Placed, Polling
from imagegen.backends.reading import member, moment, money, number, segment, text
from imagegen.backends.refusals import Said, accepted, answered, refused, told, without_words
from imagegen.backends.standing import Balance, Quota, Standing
from imagegen.codec import decode, structure
from imagegen.flow import Call, Flow, Part, Pause, Reply

__all__ = [
    "Backend",
    "Balance",
    "Call",
    "Draft",
    "Exchange",
    "Flow",
    "Part",
    "Pause",
    "Placed",
    "Polling",
    "Quota",
    "Reply",
    "Said",
    "Standing",
    "Terms",
    "Translation",
    "accepted",
    "answered",
    "attached",
    "decode",
    "inline_image",
    "is_url",
    "member",
    "moment",
    "money",
    "number",
    "refused",
    "segment",
    "structure",
    "submit_once",
    "text",
    "told",
    "without_words",
]
