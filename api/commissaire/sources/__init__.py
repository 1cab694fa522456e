"""External providers of hosts (CPD-61): inventory sources of Ansible's, listed and taken over."""
