"""What users type and read: the words of a command line, their completion and the help."""
