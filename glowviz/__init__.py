"""glowviz opens any ONNX network, compiles it one pass at a time and shows every step."""

__version__ = "0.1.0"
