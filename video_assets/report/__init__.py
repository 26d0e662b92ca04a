"""What people see of a dataset: the card, pictures, plots and the screens of the commands."""
