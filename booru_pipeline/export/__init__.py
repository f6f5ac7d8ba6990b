"""What is made here, for use elsewhere: folders that the hub takes, and ONNX graphs."""
