"""Commissaire: rolling operations on fleets of Linux hosts, over REST."""
