"""What is installed, what this machine has, and what is missing for which verb."""

from polyrank.doctor.examine import examine
from polyrank.doctor.finding import Finding

__all__ = ["Finding", "examine"]
