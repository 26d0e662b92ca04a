"""What people have, as wanted clips: folders, tables and published sets are understood, or refused by name."""
