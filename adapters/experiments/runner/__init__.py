"""Run experiments: each turns a config into a result by commands that anyone can repeat.

    python adapters/experiments run adapters/experiments/worldfacts_lora_prompt
    python adapters/experiments table adapters/experiments

A config names data, a recipe, seeds and evaluations; everything is done by the commands that users
have (``calibench eval | grade | prepare | tune``). What a command made is kept in ``temporary/``
beside the experiments, under a name made of the command itself: experiments share what they have in
common, and an interrupted one goes on where it stopped.
"""
