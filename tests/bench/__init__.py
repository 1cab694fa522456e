"""What Commissaire costs, beside what its users would use instead: measured together, on the same computer."""
