"""What is learned from: judged rows, mined negatives, teachers' scores, comparisons."""
