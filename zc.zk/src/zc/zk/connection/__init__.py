"""Make kazoo clients, connect and stop them, and send their requests."""
