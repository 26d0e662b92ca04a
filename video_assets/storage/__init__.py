"""Files and tables, on local disks and in object stores."""
