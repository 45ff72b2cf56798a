"""What we infer: ONNX bundles, each with its contract, card, training and evaluation."""
