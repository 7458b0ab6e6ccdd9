"""Tests of irgen."""
