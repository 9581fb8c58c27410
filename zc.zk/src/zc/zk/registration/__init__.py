"""Create the ephemeral nodes of servers, and keep them true."""
