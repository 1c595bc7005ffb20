"""Data sets to train on: graded answers and prepared tasks."""
