"""What a module is: its card, its folder, and the kinds there are."""
