"""The fast paths of ``calib-hf``, which compute only once what several requests share.

* `segments`: attention over a prefix that all rows share, a question that its samples share, and
  what a row has written itself, none of it copied per row.
* `network`: the model taken apart into its layers and its output head.
* `sharing`: which prompts begin alike.
* `memory`: what is kept between calls, the keys of prompts and what was written after them.
* `sizes`: how much runs at once.
* `decode`: answers and samples from one prefill per question, with their log-probabilities.
* `score`: log-likelihoods of continuations.
* `texts`: prompts to tokens, and tokens to texts.
* `coverage`: what all this may be used for; everything else runs as in the stock ``hf``.
* `requests`: lm-eval's requests, dispatched.
"""
