"""The routes, a file for each thing they are about. Each module has one `router`; none knows another."""
