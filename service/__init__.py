"""The gateway: HTTP in front of the bus. It knows no network, no judge and no worker; it never imports torch or numpy."""
