"""A provider of vision-language models for tests: real HTTP, real wire shapes, known rules and known faults. It knows no judge of ours."""
