"""Judges that ask a vision-language model to choose. They know pictures, texts and one provider's protocol; no Redis and no job."""
