"""The command line, one file per command. Modules here import torch only inside the commands that need it."""
