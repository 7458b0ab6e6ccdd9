"""Networks that torch's exporter writes, with random weights that keep their numbers healthy.

They need torch, onnxscript and transformers, in an environment of their own: `make exports` makes it and runs them.
glowviz itself never needs torch.
"""
