"""Leaderboards: entries, tables, figures and gates, recomputed from the sample logs of lm-eval."""
