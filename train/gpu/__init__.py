"""Training samples computed by torch, on the GPU: the twin of `train.samples`, equal to it but for rounding."""
