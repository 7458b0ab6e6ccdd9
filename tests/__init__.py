"""The tests mirror the package; models.py and answers.py are shared by all of them."""
