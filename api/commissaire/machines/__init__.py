"""Virtual machines of many hypervisors."""
