"""The networks, and their pretrained backbones."""
