"""Random valid models, run by glowviz, by onnxruntime and by the interpreter, and what may differ between them."""
