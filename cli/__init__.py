"""The command line `maxwell`: runs the processes, and is a user's client of the API. It knows no sampling and no Redis key."""
