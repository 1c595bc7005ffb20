"""A question whose answer is known, for methods that read samples."""

from harness_tasks.elicitation.grading import exact
from harness_tasks.elicitation.options import choose
from harness_tasks.elicitation.prompts import Conversation
from harness_tasks.elicitation.question import Question

PROMPT = "Question: What is the capital of France?\nAnswer:"


def make_question(answer, options=None):
    return Question(
        conversation=Conversation(PROMPT, PROMPT),
        answer=lambda: answer,
        answered_by="generate_until",
        agrees=(lambda text, option: choose(text, options) == option)
        if options
        else lambda text, gold: exact(text, [gold]),
        options=(lambda: dict.fromkeys(options, 1 / len(options))) if options else None,
        labels=options or (),
        generation={"until": ["\n"], "max_gen_toks": 16},
        instance={"doc": {"question": "What is the capital of France?"}, "metadata": ("t", 0, 1)},
    )
