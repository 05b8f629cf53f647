"""The commands, one file each. Modules here import torch only inside the commands that need it."""
