"""Layouts, tested on graphs of the shapes that networks have."""
