"""Let a model judge the answers of an earlier run: ratings, verdicts and preferences.

The judge is an ordinary lm-eval model and these are ordinary lm-eval tasks, so any back end can
judge.
"""
