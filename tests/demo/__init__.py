"""The main job on real machines: a cluster restarted through REST, and the proof that it went as promised."""
