"""Adapters that make a model's confidence better: graded datasets, recipes, training."""
