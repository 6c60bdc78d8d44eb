"""Tests of the judges that ask a vision-language model, over real HTTP through the real SDK."""
