"""Reward models as judges: published networks with published weights, one file each, on plain `transformers`. They know no job."""
