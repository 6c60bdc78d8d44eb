"""A vision-language model as a judge: one choice among all pictures, several of them, or pairs. It knows how to ask, and no provider,
no limits and no prices.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from contracts.errors import JudgeError, JudgeMisconfigured
from contracts.judging import NO_CALL, JudgeAsk, JudgeCard, Verdict
from contracts.limits import JudgeLimits

from ..gate import Gate, OpenGate
from .answer import Choice
from .conversation import Chat, Interview, Purse
from .pairwise import Pairs
from .pricing import Rates
from .showing import Gallery, Mode, Showing
from .votes import Votes


@dataclass(frozen=True)
class VlmJudge:
    """Asks a model to choose exactly m of K pictures. `selected` is m, by default half of them; the card says in how many calls."""

    card: JudgeCard
    chat: Chat
    mode: Mode = "separate"
    selected: int | None = None
    max_images: int = 64
    gate: Gate = field(default_factory=OpenGate)
    limits: JudgeLimits | None = None  # what its gate has to keep to
    rates: Rates = field(default_factory=Rates)
    fingerprint: str = ""  # of the settings that its verdicts depend on; see docs/writing-a-judge.md

    def behind(self, gate: Gate) -> "VlmJudge":
        """The same judge, its calls let through by this gate."""
        return replace(self, gate=gate)

    async def close(self) -> None:
        """End its connections."""
        await self.chat.close()

    async def score(self, ask: JudgeAsk, pictures: Sequence[bytes]) -> Verdict:
        """+5 for the chosen, -5 for the others, None for a tie; equal pictures are shown once, and a single one gets no opinion.

        Raises JudgeError, typed; its `usage` says what was spent.
        """
        purse = Purse()
        try:
            return await self._verdict(ask, pictures, purse)
        except JudgeError as error:
            error.usage = purse.spent
            raise

    async def _verdict(self, ask: JudgeAsk, pictures: Sequence[bytes], purse: Purse) -> Verdict:
        different = list(dict.fromkeys(pictures))
        self._check(len(different))
        # Also where nothing is asked: bytes that are no picture are an error and no verdict.
        gallery = await asyncio.to_thread(Gallery.of, ask, different, self.mode)
        if len(different) == 1:
            return Verdict(scores=(None,) * len(pictures), usage=NO_CALL)
        numbers = [pictures.index(picture) + 1 for picture in different]
        calls = await asyncio.to_thread(self._calls, gallery, ask.seed, numbers)
        self._afford(ask, calls.showings)
        purse.owed = len(calls.showings)
        interview = Interview(self.card, self.chat, self.gate, self.rates)

        async def put(showing: Showing, count: int) -> Choice:
            return await interview.choose(ask, showing, count, purse)

        opinion = await calls.opinion(put)
        places = [different.index(picture) for picture in pictures]
        return Verdict(
            scores=tuple(opinion.scores[place] for place in places),
            measured=opinion.measured and tuple(opinion.measured[place] for place in places),
            rationale=opinion.rationale,
            usage=purse.spent,
        )

    def _calls(self, gallery: Gallery, seed: int, numbers: Sequence[int]) -> Votes | Pairs:
        """All that is asked, as many calls as `card.cost` says."""
        count = min(self.selected or len(numbers) // 2, len(numbers) - 1)
        if self.card.rounds is not None:
            return Pairs.about(gallery, seed, self.card.votes, self.card.rounds, count, numbers)
        return Votes.about(gallery, seed, self.card.votes, count, numbers)

    def _afford(self, ask: JudgeAsk, showings: Sequence[Showing]) -> None:
        """Raises JudgeError where the job's caps do not cover all calls: they go out at once."""
        pictures = sum(isinstance(part, bytes) for showing in showings for part in showing.parts)
        if not ask.allowance.covers(self.card.call.usage(pictures, len(showings))):
            raise JudgeError(
                f"the caps of the job leave less than the {len(showings)} calls that the judge {self.card.name!r} makes about "
                f"{ask.pictures} pictures: nothing was asked. Raise them, or lower the judge's votes or rounds",
            )

    def _check(self, count: int) -> None:
        if self.mode == "separate" and count > self.max_images:
            raise JudgeMisconfigured(
                f"the judge {self.card.name!r} is misconfigured for this job: it may show {self.max_images} pictures at once and was "
                f"asked about {count}. Ask for fewer candidates, or set its mode to grid or pairwise",
            )
