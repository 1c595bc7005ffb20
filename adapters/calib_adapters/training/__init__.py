"""The frame around every method: recipes, training data's batches, checkpoints, cards."""
