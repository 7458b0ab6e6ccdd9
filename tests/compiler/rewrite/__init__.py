"""Tests of the rewriting core."""
