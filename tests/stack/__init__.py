"""The whole service as real processes: main job, faults, starts and stops, and the commands that speak to it."""
