"""What an installation can get wrong."""
