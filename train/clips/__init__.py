"""How detectors that see a clip are trained: which frames they see, which priors answer, what is minimised."""
