"""Tasks whose reply holds an explanation, the answer and a confidence, each on lines of its own."""

from __future__ import annotations

from typing import Any

from harness_tasks.elicitation.methods.replies import parse_one_turn
from harness_tasks.task import ConfidenceTask


class OneTurnTask(ConfidenceTask):
    """Takes the answer from the line "Answer:" of the reply; `one_turn` reads the confidence.

    A reply without such a line has no answer, which is wrong. The other methods ask about the
    answer alone, without the explanation, the stated confidence and the description, which demands
    a form that their replies do not have. ``one_turn_template_yaml`` has the prompt.
    """

    in_one_turn = True

    def fewshot_context(self, doc: dict, *args: Any, **kwargs: Any) -> str:
        """The first turn's prompt; the description is taken out of what a second turn shows."""
        context = super().fewshot_context(doc, *args, **kwargs)
        form = self.resolve_field(doc, self.config.description) or ""
        alone, messages = self._alone
        if messages is not None and messages[0]["role"] == "system":
            system = messages[0]["content"].removesuffix(form).strip()
            messages = [{"role": "system", "content": system}] * bool(system) + messages[1:]
        self._alone = alone.removeprefix(form), messages
        return context

    def extract(self, text: str) -> str:
        """The answer that the reply states."""
        return parse_one_turn(text)[0]
