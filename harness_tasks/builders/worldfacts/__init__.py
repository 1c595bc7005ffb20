"""Builds WorldFacts from tables of facts in PyPI packages."""
