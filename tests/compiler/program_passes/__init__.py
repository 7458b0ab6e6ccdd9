"""Tests of the program passes."""
