"""lm-eval tasks that ask a model for an answer and then for its confidence in that answer."""
