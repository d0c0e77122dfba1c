"""What every command line shares: arguments, progress, output."""
