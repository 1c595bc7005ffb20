"""The fast paths of ``calib-hf``: what several requests share is computed once.

* `segments`: attention over a prefix shared by all rows, a question shared by its samples, and
  each row's own tokens, without copying shared keys into every row.
* `network`: splits the model into its layers and its output head.
* `sharing`: groups prompts by common prefix.
* `memory`: keeps the keys of prompts, and generated texts, from one call to the next.
* `sizes`: batch sizes.
* `decode`: generates answers and samples from one prefill per question, with log-probabilities.
* `score`: computes log-likelihoods of continuations.
* `texts`: encodes prompts and decodes generated tokens.
* `coverage`: decides what may run here; everything else runs as in the stock ``hf``.
* `requests`: dispatches lm-eval's requests.
"""
