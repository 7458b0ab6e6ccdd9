"""Scripts that build real network architectures as ONNX files, with seeded weights, for trying glowviz on."""
