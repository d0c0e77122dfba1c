"""The commands of `korsal-evaluate`: the whole evaluation, and each of its steps."""
