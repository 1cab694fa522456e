"""Virtual machines: what the hypervisors tell of them, and what is done to them by libvirt's own calls."""
