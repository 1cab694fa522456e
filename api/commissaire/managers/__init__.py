"""What is asked of container managers over the network."""
