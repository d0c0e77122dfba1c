"""What a run of a project has come to, as one HTML file: figures, curves, pictures, and what to film next."""
