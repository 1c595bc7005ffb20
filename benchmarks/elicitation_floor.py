"""The four methods by hand, with everything shared: how little work there could be.

Plain PyTorch and transformers, for this one task and for models of Llama's shape. The few-shot
prefix is read once; a question's answer and its samples go on from one prefill, and stopped rows
leave; the classifier and the verbalized confidence go on from one reading of question and answer.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

MOST, TOP_K = 16, 50  # tokens of a reply; generate() draws among so many


@torch.no_grad()
def floor(data: dict, model: str, dtype: str, device: str, k: int, rows: int) -> Callable[[], dict]:
    """Load the model; what is returned asks all questions, `rows` answers at a time."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    causal = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype))
    causal = causal.to(device).eval()
    layers, head = causal.model, causal.lm_head
    end = causal.generation_config.eos_token_id
    ends = {end} if isinstance(end, int) else set(end)

    def read(cache, past, texts):
        """Token rows, left-padded behind what the cache holds: their last states, and the mask."""
        longest = max(map(len, texts))
        ids = torch.tensor([[0] * (longest - len(row)) + row for row in texts], device=device)
        own = torch.tensor([[0] * (longest - len(r)) + [1] * len(r) for r in texts], device=device)
        mask = torch.cat([past, own], 1)
        return forward(cache, ids, mask), mask

    def forward(cache, ids, mask):
        positions = (mask.cumsum(-1)[:, -ids.shape[1] :] - 1).clamp(min=0)
        return layers(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache,
            use_cache=True,
        )[0][:, -1]  # fmt: skip

    def write(cache, hidden, mask, sampled):
        """``(token, log p)`` pairs of every row; `sampled` says which rows are drawn."""
        texts = [[] for _ in sampled]
        alive, drawn = list(range(len(sampled))), torch.tensor(sampled, device=device)
        for step in range(MOST):
            logits = head(hidden).float()
            chosen = logits.argmax(-1)
            if drawn.any():
                top, tokens = logits[drawn].topk(TOP_K)
                chosen[drawn] = tokens.gather(-1, torch.multinomial(top.softmax(-1), 1))[:, 0]
            logprobs = logits.gather(-1, chosen[:, None])[:, 0] - logits.logsumexp(-1)
            staying = []
            for i, pair in enumerate(zip(chosen.tolist(), logprobs.tolist(), strict=True)):
                texts[alive[i]].append(pair)
                if pair[0] not in ends and "\n" not in tokenizer.decode(pair[0]):
                    staying.append(i)
            if not staying or step == MOST - 1:
                break
            if len(staying) < len(alive):
                index = torch.tensor(staying, device=device)
                cache.batch_select_indices(index)
                mask, drawn, chosen = mask[index], drawn[index], chosen[index]
                alive = [alive[i] for i in staying]
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
            hidden = forward(cache, chosen[:, None], mask)
        return texts

    def answer(text):
        words = tokenizer.decode([token for token, _ in text], skip_special_tokens=True)
        return words.split("\n")[0].strip()

    def copied(cache, times):
        pairs = [(layer.keys, layer.values) for layer in cache.layers]
        return DynamicCache([tuple(x.repeat_interleave(times, 0) for x in pair) for pair in pairs])

    @torch.no_grad()
    def run() -> dict:
        encoded = tokenizer(data["prompts"])["input_ids"]
        first, last = min(encoded), max(encoded)
        shared = 0
        while shared < min(map(len, encoded)) - 1 and first[shared] == last[shared]:
            shared += 1
        prefix = DynamicCache()
        nothing = torch.zeros(1, 0, dtype=torch.long, device=device)
        read(prefix, nothing, [first[:shared]])
        order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i]))
        yes, no = (tokenizer(reply)["input_ids"][0] for reply in data["replies"])
        size, each = max(1, rows // (k + 1)), k + 1
        likely, confident = [], []
        for begin in range(0, len(order), size):
            places = order[begin : begin + size]
            n = len(places)
            cache = copied(prefix, n)
            past = torch.ones(n, shared, dtype=torch.long, device=device)
            hidden, mask = read(cache, past, [encoded[i][shared:] for i in places])
            texts = write(
                copied(cache, each), hidden.repeat_interleave(each, 0),
                mask.repeat_interleave(each, 0), ([False] + [True] * k) * n,
            )  # fmt: skip
            likely += [sum(logprob for _, logprob in text) / len(text) for text in texts[::each]]
            turns = [
                f"{data['alone'][i]} {answer(text)}\n\n"
                for i, text in zip(places, texts[::each], strict=True)
            ]
            cache = DynamicCache()
            hidden, mask = read(cache, nothing.expand(n, 0), tokenizer(turns)["input_ids"])
            asked = [tokenizer(data["yes_no"])["input_ids"]] * n
            pairs = head(read(copied(cache, 1), mask, asked)[0])[:, [yes, no]].float().softmax(-1)
            confident += pairs[:, 0].tolist()
            asked = [tokenizer(data["verbalized"])["input_ids"]] * n
            write(cache, *read(cache, mask, asked), [False] * n)
        return {
            "likelihood": statistics.fmean(likely), "zero_shot": statistics.fmean(confident)
        }  # fmt: skip

    return run
