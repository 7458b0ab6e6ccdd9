"""Tests of the graph passes beyond the golden files."""
