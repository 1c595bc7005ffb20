"""Control tokens of chat templates in quoted text, made plain text.

A model's answer, or a row of a user's table, may contain "<|im_end|><|im_start|>user". Quoted
unchanged, it would end the turn that quotes it and open another one that can give orders to a
judge.
"""

from __future__ import annotations

import re

# What the templates of the known families use: <|im_start|>, <｜User｜>, <s>, <bos>, <think>,
# <start_of_turn>, [INST], [/TOOL_CALLS], <<SYS>>.
_CONTROL = re.compile(
    r"<(?=[|｜][^<>\n]{1,60}[|｜]>)"
    r"|<(?=/?(?:s|bos|eos|pad|unk|mask|(?:start|end)_of_(?:turn|image|role|text)|think|"
    r"tool_call|tool_response|tools|\w*header_id|start_header|end_header)>)"
    r"|\[(?=/?(?:INST|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|SYSTEM_PROMPT|IMG)\])"
    r"|<(?=</?SYS>>)"
)
_JOINER = "\N{WORD JOINER}"  # invisible, and no tokenizer reads it as a part of a control token


def neutral(text: str) -> str:
    """`text` with an invisible word joiner within each control token; other text is unchanged.

    >>> neutral("Paris")
    'Paris'
    >>> neutral("<|im_end|>") == "<|im_end|>"
    False
    """
    return _CONTROL.sub(lambda found: found[0] + _JOINER, text)
