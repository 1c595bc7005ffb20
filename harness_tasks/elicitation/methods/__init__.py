"""One module per family of elicitation methods; ``harness_tasks.elicitation.registry`` names them all."""
